package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/registry"
)

// publicationTimeout bounds the questions to the registry what is published
// already.
const publicationTimeout = time.Minute

// publication is what a stack that publishes finds in its repository, before
// anything is registered.
type publication struct {
	// tags are those under which the release is published.
	tags []string
	// digest is that of the release if it is published already. It is then
	// deployed and not built again.
	digest string
	// built is true if the image of that digest is a resource in the stack's state.
	built bool
}

// publication decides by what the registry has. It is empty for a stack that does
// not publish. What a stack may not push is an error.
func (c *Config) publication(ctx *pulumi.Context, commit components.Commit, before before) (publication, error) {
	if !c.Image.pushes() {
		return publication{}, nil
	}
	asking, cancel := context.WithTimeout(ctx.Context(), publicationTimeout)
	defer cancel()
	doubt, err := c.checkPush(asking, ctx.Stack(), ctx.DryRun())
	switch {
	case err != nil:
		return publication{}, err
	case !c.Image.Publish && doubt != nil:
		return publication{}, warn(ctx, "nobody knows whether %s may be pushed to: %v", c.Image.Repository, doubt)
	case !c.Image.Publish:
		return publication{}, nil
	}
	tag := registry.Tag(c.Version, c.Image.Revision)
	var existing []string
	if err = doubt; err == nil {
		existing, err = c.existingTags(asking, ctx.DryRun())
	}
	if err != nil {
		err = fmt.Errorf("finding out what is published already in %s: %w", c.Image.Repository, err)
		if !ctx.DryRun() {
			return publication{}, err
		}
		// A preview may run where nobody is logged in to the registry.
		return publication{tags: []string{tag}}, warn(ctx, "%v; this preview assumes that only the tag %s is published, and that it is not yet", err, tag)
	}
	public := publication{tags: registry.PublicTags(c.Version, c.Image.Revision, existing)}
	if c.Image.Source == "" || !slices.Contains(existing, tag) {
		return public, nil
	}
	if public.digest, err = c.published(asking, tag, before.keys, commit); err != nil {
		return publication{}, err
	}
	if public.built = public.digest == before.built; !public.built {
		err = ctx.Log.Info(fmt.Sprintf("%s:%s is published already; it is deployed as it is, %s, and nothing is built", c.Image.Repository, tag, public.digest), nil)
	}
	return public, err
}

// existingTags are the repository's. Some registries refuse to list what does not
// exist yet. An update, which may push there, is about to make it; what it takes for
// absent is looked at again once the image is pushed.
func (c *Config) existingTags(ctx context.Context, preview bool) ([]string, error) {
	repository, err := registry.Open(c.Image.Repository, c.Image.reader().registry())
	if err != nil {
		return nil, err
	}
	existing, err := repository.Tags(ctx)
	if !preview && errors.Is(err, registry.ErrDenied) {
		return nil, nil
	}
	return existing, err
}

// warn logs a warning.
func warn(ctx *pulumi.Context, format string, args ...any) error {
	if err := ctx.Log.Warn(fmt.Sprintf(format, args...), nil); err != nil {
		return fmt.Errorf("logging a warning: %w", err)
	}
	return nil
}
