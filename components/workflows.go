package components

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components/workflows"
)

// WorkflowsArgs describes the workflow files of the gateway's own repository.
type WorkflowsArgs struct {
	// Owner and Repository are the repository's name.
	Owner, Repository string
	// Inputs are what the workflows depend on. They are committed to
	// Inputs.DefaultBranch.
	Inputs workflows.Inputs
	// After is what comes before the first file is written: what the repository's
	// plan may not include has been accepted then.
	After []pulumi.Resource
}

// Workflows are the pull request gates and the release workflow, as files in
// the gateway's repository. A file that is there already and was not written by
// this stack is never overwritten: a preview fails already, and tells how to
// adopt it.
type Workflows struct {
	pulumi.ResourceState

	// Checks are the status checks that the workflows report on pull requests.
	Checks []string

	files []pulumi.Resource
}

// NewWorkflows registers the files, one commit each, in the order in which they
// need one another.
func NewWorkflows(ctx *pulumi.Context, name string, args *WorkflowsArgs, opts ...pulumi.ResourceOption) (*Workflows, error) {
	files, err := workflows.Render(args.Inputs)
	if err != nil {
		return nil, err
	}
	component := &Workflows{Checks: workflows.Checks()}
	if err := ctx.RegisterComponentResource("clawft:index:Workflows", name, component, opts...); err != nil {
		return nil, err
	}

	commits := pulumi.StringMap{}
	for _, file := range files {
		child := name + "-" + file.Name
		unclaimed, err := unclaimed(ctx, args.Owner, args.Repository, child, component,
			fileClaim(args.Owner, args.Repository, args.Inputs.DefaultBranch, file.Path))
		if err != nil {
			return nil, err
		}
		written, err := github.NewRepositoryFile(ctx, child, &github.RepositoryFileArgs{
			Repository:        pulumi.String(args.Repository),
			Branch:            pulumi.String(args.Inputs.DefaultBranch),
			File:              pulumi.String(file.Path),
			Content:           pulumi.String(file.Content),
			CommitMessage:     pulumi.String("ci: update " + file.Path + " from " + args.Inputs.Infra.Repository),
			OverwriteOnCreate: pulumi.Bool(false),
		}, append(repositoryOptions(component), unclaimed, pulumi.DependsOn(append(slices.Clone(args.After), component.files...)))...)
		if err != nil {
			return nil, fmt.Errorf("registering %s: %w", file.Path, err)
		}
		component.files = append(component.files, written)
		commits[file.Path] = written.CommitSha
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"checks":  pulumi.ToStringArray(component.Checks),
		"commits": commits,
	})
}

// repositoryOptions are those of everything that a stack adds to somebody's
// repository. It stays when the stack no longer manages it: destroying a
// deployment must neither take a branch's protection away nor leave it demanding
// checks that no workflow reports. And what was imported, which is possible only
// without a parent, becomes the component's child.
func repositoryOptions(component pulumi.Resource) []pulumi.ResourceOption {
	return []pulumi.ResourceOption{
		pulumi.Parent(component),
		pulumi.RetainOnDelete(true),
		pulumi.Aliases([]pulumi.Alias{{NoParent: pulumi.Bool(true)}}),
	}
}
