package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/registry"
)

// tagsTimeout bounds the question to the registry what is published already.
const tagsTimeout = 30 * time.Second

// publicTags decides, before anything is registered, under which tags the
// release is published: by what the registry has. It is empty for a stack that
// does not publish.
func (c *Config) publicTags(ctx *pulumi.Context) ([]string, error) {
	if !c.Image.Publish {
		return nil, nil
	}
	existing, err := c.existingTags(ctx.Context())
	if err == nil {
		return registry.PublicTags(c.Version, existing), nil
	}
	err = fmt.Errorf("finding out what is published already: %w", err)
	if !ctx.DryRun() {
		return nil, err
	}
	// A preview may run where nobody is logged in to the registry.
	warning := fmt.Sprintf("%v; this preview assumes that only the tag %s is published", err, c.Version)
	if err := ctx.Log.Warn(warning, nil); err != nil {
		return nil, fmt.Errorf("logging a warning: %w", err)
	}
	return []string{c.Version}, nil
}

func (c *Config) existingTags(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, tagsTimeout)
	defer cancel()
	repository, err := registry.Open(c.Image.Repository, c.Image.reader().registry())
	if err != nil {
		return nil, err
	}
	return repository.Tags(ctx)
}
