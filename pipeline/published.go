package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/signature"
)

// builtOutput is the stack's output of the digest that its image resource has.
const builtOutput = "built"

// hetznerOutput is the stack's output of what it has at Hetzner.
const hetznerOutput = "hetzner"

// before is what the stack's last update left.
type before struct {
	// built is the digest of the image in the state, or "".
	built string
	// digest is that of the image that the hosts run, or "".
	digest string
	// keys are those that the image was signed by, in PEM format.
	keys []string
	// hetzner are the IDs of what the stack has at Hetzner, by resource.
	hetzner map[string]string
}

// before is empty for a stack to which its last update does not matter.
func (c *Config) before(ctx *pulumi.Context) (before, error) {
	if !c.Image.Publish && len(c.Hosts) == 0 {
		return before{}, nil
	}
	return deployedBefore(ctx)
}

// deployedBefore reads the stack's own outputs. An update that failed leaves those
// of the one before it.
func deployedBefore(ctx *pulumi.Context) (before, error) {
	self, err := pulumi.NewStackReference(ctx, "self", &pulumi.StackReferenceArgs{
		Name: pulumi.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack()),
	})
	if err != nil {
		return before{}, fmt.Errorf("reading the stack's own outputs: %w", err)
	}
	left := before{hetzner: map[string]string{}}
	for name, read := range map[string]func(any){
		builtOutput: func(value any) { left.built, _ = value.(string) },
		hetznerOutput: func(value any) {
			ids, _ := value.(map[string]any)
			for name, id := range ids {
				left.hetzner[name], _ = id.(string)
			}
		},
		"digest": func(value any) { left.digest, _ = value.(string) },
		"publicKeys": func(value any) {
			listed, _ := value.([]any)
			for _, key := range listed {
				text, _ := key.(string)
				left.keys = append(left.keys, text)
			}
		},
	} {
		details, err := self.GetOutputDetails(name)
		if err != nil {
			return before{}, fmt.Errorf("reading the stack's own output %s: %w", name, err)
		}
		read(details.Value)
	}
	return left, nil
}

// published returns the digest behind a tag that exists. It is an error unless
// that is what this stack would have built there: signed by one of its keys and of
// the same commit. The keys are those of its last update, where none is
// configured.
func (c *Config) published(ctx context.Context, tag string, keys []string, commit components.Commit) (string, error) {
	repository, err := registry.Open(c.Image.Repository, c.Image.reader().registry())
	if err != nil {
		return "", err
	}
	digest, err := repository.Digest(ctx, tag)
	if err != nil {
		return "", fmt.Errorf("reading what is published already: %w", err)
	}
	refuse := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%s:%s is published already, as %s, and %s; raise clawft:version, raise clawft:image.revision to publish a rebuild beside it, "+
			"or deploy what is published: without clawft:image.source, and with clawft:image.digest %s",
			c.Image.Repository, tag, digest, fmt.Sprintf(format, args...), digest)
	}
	var from string
	if c.Image.signs() {
		if len(c.Image.PublicKeys) > 0 {
			keys = c.Image.PublicKeys
		}
		trusted, err := signature.ParsePublicKeys(keys)
		if err != nil {
			return "", fmt.Errorf("reading the keys that this stack signs with: %w", err)
		}
		_, build, err := attest.Signed(ctx, repository, digest, trusted...)
		switch {
		case errors.Is(err, signature.ErrNone):
			return refuse("%v", err)
		case err != nil:
			return "", err
		case build == nil:
			return refuse("nothing that is signed says what it was built from")
		case build.Version != c.Version:
			return refuse("it was built as version %s", build.Version)
		case commit.Hash == "" && (build.Commit != "" || build.Source != c.Image.Source):
			return refuse("it was built from %s instead of %s", build.Origin(), c.Image.Source)
		}
		from = build.Commit
	} else {
		// Without signatures the registry's word is all that there is.
		if from, err = repository.Label(ctx, digest, components.RevisionLabel); err != nil {
			return "", err
		}
	}
	if from != commit.Hash {
		return refuse("it was built from the commit %q, while clawft:image.ref %s is %s", from, c.Image.Ref, commit.Hash)
	}
	return digest, nil
}
