package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/components/workflows"
)

// repository registers the gateway's own repository. It does nothing in a stack that
// has no `github` block.
func (c *Config) repository(ctx *pulumi.Context, use pulumi.ResourceOption) error {
	if c.GitHub == nil {
		return nil
	}
	dockerfile, ignored, err := c.dockerfile(ctx)
	if err != nil {
		return err
	}
	_, err = components.NewRepository(ctx, c.GitHub.Repository, &components.RepositoryArgs{
		Owner: c.GitHub.Owner,
		Name:  c.GitHub.Repository,
		Workflows: workflows.Inputs{
			DefaultBranch: c.GitHub.DefaultBranch,
			Image:         c.Image.Repository,
			Toolchain:     c.GitHub.Toolchain,
			Limits: workflows.Limits{
				BinaryMiB:   c.GitHub.Limits.BinaryMiB,
				WasmKiB:     c.GitHub.Limits.WasmKiB,
				WasmGzipKiB: c.GitHub.Limits.WasmGzipKiB,
				ImageMiB:    c.Image.SizeLimitMiB,
			},
			HealthTimeout: c.Gateway.HealthTimeout,
			Dockerfile:    dockerfile,
			DockerIgnore:  ignored,
			Infra:         workflows.Infra(c.GitHub.Infra),
			Stack:         ctx.Stack(),
		},
		Enforcement:     c.GitHub.Enforcement,
		RequiredReviews: c.GitHub.RequiredReviews,
		LinearHistory:   c.GitHub.LinearHistory,
		MergeQueue:      c.GitHub.MergeQueue,
		Bypass:          c.GitHub.BypassActor.component(),
		Releasers:       actors(c.GitHub.Releasers),
		Environment: components.EnvironmentArgs{
			Name:          ctx.Stack(),
			ReviewerUsers: c.GitHub.Environment.Reviewers.Users,
			ReviewerTeams: c.GitHub.Environment.Reviewers.Teams,
		},
		Variables: c.GitHub.Variables,
		Secrets:   c.GitHub.Secrets,
	}, use)
	if err != nil {
		return fmt.Errorf("setting up the repository %s/%s: %w", c.GitHub.Owner, c.GitHub.Repository, err)
	}
	return nil
}

// repositoryNeeds is nil in a stack that manages no repository.
func (c *Config) repositoryNeeds() *components.RepositoryNeeds {
	if c.GitHub == nil {
		return nil
	}
	reviewers := c.GitHub.Environment.Reviewers
	return &components.RepositoryNeeds{
		Owner:       c.GitHub.Owner,
		Name:        c.GitHub.Repository,
		Enforcement: c.GitHub.Enforcement,
		MergeQueue:  c.GitHub.MergeQueue,
		Reviewers:   len(reviewers.Users) + len(reviewers.Teams),
	}
}

// dockerfile returns the text of the Dockerfile that releases are built from,
// and of the ignore file beside it, if there is one.
func (c *Config) dockerfile(ctx *pulumi.Context) (text, ignored string, err error) {
	// A stack that builds nothing names none; its workflows build all the same.
	path := filepath.Join(ctx.RootDirectory(), cmp.Or(c.Image.Dockerfile, "Dockerfile"))
	content, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("reading clawft:image.dockerfile: %w", err)
	}
	ignore, err := os.ReadFile(path + ".dockerignore")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("reading the ignore file beside clawft:image.dockerfile: %w", err)
	}
	return string(content), string(ignore), nil
}

func (a *BypassActor) component() *components.Actor {
	if a == nil {
		return nil
	}
	return &components.Actor{Type: a.Type, ID: a.ID, Mode: a.Mode}
}

func actors(given []BypassActor) []components.Actor {
	var all []components.Actor
	for _, actor := range given {
		all = append(all, *actor.component())
	}
	return all
}
