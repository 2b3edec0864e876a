package components

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components/workflows"
)

const (
	// actionsApp is the ID of the GitHub App "GitHub Actions". A required check
	// that names it cannot be reported by anybody else.
	actionsApp = 15368
	// adminRole is the ID of the repository role "admin".
	adminRole = 5
	// releaseTags matches the tags that releases are made from.
	releaseTags = "v*"
)

// NoRulesets is the enforcement of a repository that is to have no rulesets.
const NoRulesets = "none"

// RepositoryArgs describes the gateway's own repository.
type RepositoryArgs struct {
	// Owner and Name of the repository.
	Owner, Name string
	// Workflows are written to it. They report the checks that the default branch
	// requires.
	Workflows workflows.Inputs
	// Enforcement of the rulesets: "active", "evaluate" (only report; needs
	// GitHub Enterprise), "disabled" (they are there and do nothing) or NoRulesets.
	Enforcement string
	// RequiredReviews is how many approvals a pull request needs, 0 to 10.
	RequiredReviews int
	// LinearHistory forbids merge commits on the default branch.
	LinearHistory bool
	// MergeQueue merges pull requests through a queue, which GitHub has for
	// repositories of organizations.
	MergeQueue bool
	// Bypass is who this stack is at GitHub. It needs to write workflow files to
	// the default branch, so it has to be named unless Enforcement is "disabled" or NoRulesets.
	Bypass *Actor
	// Releasers may create release tags. Default: the repository's admins.
	Releasers []Actor
	// Environment is the one that a release is deployed to.
	Environment EnvironmentArgs
	// Variables are Actions variables of the repository, by name.
	Variables map[string]string
	// Secrets are Actions secrets of the environment, by name. No job but an
	// approved deployment can read them.
	Secrets pulumi.StringMap
}

// Actor is somebody who may bypass a ruleset.
type Actor struct {
	// Type is RepositoryRole, Team, Integration (a GitHub App), OrganizationAdmin
	// or DeployKey.
	Type string
	// ID is the role's, team's or app's number; the other types have none.
	ID int
	// Mode is "always" or "exempt" (the same, without an entry in the ruleset's
	// insights). Default: always. GitHub's third one, pull_request, does not let
	// anybody write a file.
	Mode string
}

// EnvironmentArgs describes a deployment environment.
type EnvironmentArgs struct {
	Name string
	// ReviewerUsers and ReviewerTeams are the numbers of those who may approve a
	// deployment, 6 at most. With none, a deployment needs no approval.
	ReviewerUsers, ReviewerTeams []int
}

// Repository is the rules of the gateway's repository: who may change the
// default branch and release tags, and how; and the environment that releases
// are deployed to, with its secrets.
type Repository struct {
	pulumi.ResourceState

	// Rulesets are the IDs of the rulesets by name.
	Rulesets pulumi.MapOutput

	args *RepositoryArgs
}

// unclaimed has a child refuse to be created over something that is there.
func (r *Repository) unclaimed(ctx *pulumi.Context, name string, c claim) (pulumi.ResourceOption, error) {
	return unclaimed(ctx, r.args.Owner, r.args.Name, name, r, c)
}

// NewRepository registers what GitHub may refuse because of the repository's plan
// first, then the files, one commit each, and last the ruleset that would block
// them.
func NewRepository(ctx *pulumi.Context, name string, args *RepositoryArgs, opts ...pulumi.ResourceOption) (*Repository, error) {
	if err := args.check(); err != nil {
		return nil, err
	}
	repository := &Repository{args: args}
	if err := ctx.RegisterComponentResource("clawft:index:Repository", name, repository, opts...); err != nil {
		return nil, err
	}
	refusable, err := repository.deployFrom(ctx, name)
	if err != nil {
		return nil, err
	}
	ids := pulumi.Map{}
	tags, err := repository.rule(ctx, name, tagRulesets(args), ids, refusable)
	if err != nil {
		return nil, err
	}
	written, err := NewWorkflows(ctx, name, &WorkflowsArgs{
		Owner: args.Owner, Repository: args.Name, Inputs: args.Workflows, After: append(refusable, tags...),
	}, pulumi.Parent(repository))
	if err != nil {
		return nil, err
	}
	if _, err := repository.rule(ctx, name, branchRulesets(args, written.Checks), ids, written.files); err != nil {
		return nil, err
	}
	repository.Rulesets = ids.ToMapOutput()
	return repository, ctx.RegisterResourceOutputs(repository, pulumi.Map{"rulesets": repository.Rulesets})
}

func (args *RepositoryArgs) check() error {
	if err := args.Workflows.Validate(); err != nil {
		return fmt.Errorf("rendering the workflows: %w", err)
	}
	if args.Bypass == nil && args.Enforcement != "disabled" && args.Enforcement != NoRulesets {
		return errors.New("the rulesets would block the stack's next update of a workflow file; name the stack's own identity as RepositoryArgs.Bypass")
	}
	for _, actor := range append(slices.Clone(args.Releasers), args.bypass()...) {
		if !slices.Contains([]string{"", "always", "exempt"}, actor.Mode) {
			return fmt.Errorf("the bypass mode of %s is %q, which lets nobody write a file; give always or exempt", actor.Type, actor.Mode)
		}
	}
	return nil
}

func (args *RepositoryArgs) bypass() []Actor {
	if args.Bypass == nil {
		return nil
	}
	return []Actor{*args.Bypass}
}

// deployFrom registers what release.yml needs to deploy, and returns what GitHub
// may refuse of it.
func (r *Repository) deployFrom(ctx *pulumi.Context, name string) ([]pulumi.Resource, error) {
	args := r.args
	fresh, err := r.unclaimed(ctx, name+"-environment", environmentClaim(args.Owner, args.Name, args.Environment.Name))
	if err != nil {
		return nil, err
	}
	environmentArgs := &github.RepositoryEnvironmentArgs{
		Repository:      pulumi.String(args.Name),
		Environment:     pulumi.String(args.Environment.Name),
		CanAdminsBypass: pulumi.Bool(false),
		DeploymentBranchPolicy: github.RepositoryEnvironmentDeploymentBranchPolicyArgs{
			ProtectedBranches:    pulumi.Bool(false),
			CustomBranchPolicies: pulumi.Bool(true),
		},
	}
	if users, teams := args.Environment.ReviewerUsers, args.Environment.ReviewerTeams; len(users)+len(teams) > 0 {
		environmentArgs.Reviewers = github.RepositoryEnvironmentReviewerArray{github.RepositoryEnvironmentReviewerArgs{
			Users: pulumi.ToIntArray(users),
			Teams: pulumi.ToIntArray(teams),
		}}
	}
	environment, err := github.NewRepositoryEnvironment(ctx, name+"-environment", environmentArgs, append(repositoryOptions(r), fresh)...)
	if err != nil {
		return nil, fmt.Errorf("registering the environment %s: %w", args.Environment.Name, err)
	}
	if fresh, err = r.unclaimed(ctx, name+"-release-tags-only", deploymentPolicyClaim(args.Owner, args.Name, args.Environment.Name, releaseTags)); err != nil {
		return nil, err
	}
	policy, err := github.NewRepositoryEnvironmentDeploymentPolicy(ctx, name+"-release-tags-only", &github.RepositoryEnvironmentDeploymentPolicyArgs{
		Repository:  pulumi.String(args.Name),
		Environment: environment.Environment,
		TagPattern:  pulumi.String(releaseTags),
	}, append(repositoryOptions(r), fresh)...)
	if err != nil {
		return nil, fmt.Errorf("registering the deployment policy of %s: %w", args.Environment.Name, err)
	}

	refusable := []pulumi.Resource{environment, policy}

	// Credentials go when the stack goes.
	parent := pulumi.Parent(r)
	for _, secret := range slices.Sorted(maps.Keys(args.Secrets)) {
		if fresh, err = r.unclaimed(ctx, name+"-secret-"+secret, secretClaim(args.Owner, args.Name, args.Environment.Name, secret)); err != nil {
			return nil, err
		}
		if _, err := github.NewActionsEnvironmentSecret(ctx, name+"-secret-"+secret, &github.ActionsEnvironmentSecretArgs{
			Repository:  pulumi.String(args.Name),
			Environment: environment.Environment,
			SecretName:  pulumi.String(secret),
			Value:       args.Secrets[secret].ToStringOutput().ToStringPtrOutput(),
		}, parent, fresh); err != nil {
			return nil, fmt.Errorf("registering the secret %s: %w", secret, err)
		}
	}
	for _, variable := range slices.Sorted(maps.Keys(args.Variables)) {
		if fresh, err = r.unclaimed(ctx, name+"-variable-"+variable, variableClaim(args.Owner, args.Name, variable)); err != nil {
			return nil, err
		}
		if _, err := github.NewActionsVariable(ctx, name+"-variable-"+variable, &github.ActionsVariableArgs{
			Repository:   pulumi.String(args.Name),
			VariableName: pulumi.String(variable),
			Value:        pulumi.String(args.Variables[variable]),
		}, parent, fresh, pulumi.DependsOn(refusable), pulumi.Aliases([]pulumi.Alias{{NoParent: pulumi.Bool(true)}})); err != nil {
			return nil, fmt.Errorf("registering the variable %s: %w", variable, err)
		}
	}
	return refusable, nil
}

// ruleset is one that a stack keeps.
type ruleset struct {
	name, target, ref string
	bypass            []Actor
	rules             github.RepositoryRulesetRulesArgs
}

func tagRulesets(args *RepositoryArgs) []ruleset {
	releasers := args.Releasers
	if len(releasers) == 0 {
		releasers = []Actor{{Type: "RepositoryRole", ID: adminRole}}
	}
	return []ruleset{
		{
			name: "release-tags-creation", target: "tag", ref: "refs/tags/" + releaseTags,
			bypass: releasers,
			rules:  github.RepositoryRulesetRulesArgs{Creation: pulumi.Bool(true)},
		},
		{
			// A tag that was released stays what it is. Nobody bypasses that.
			name: "release-tags", target: "tag", ref: "refs/tags/" + releaseTags,
			rules: github.RepositoryRulesetRulesArgs{
				Update:         pulumi.Bool(true),
				Deletion:       pulumi.Bool(true),
				NonFastForward: pulumi.Bool(true),
			},
		},
	}
}

func branchRulesets(args *RepositoryArgs, checks []string) []ruleset {
	return []ruleset{{
		name: "default-branch", target: "branch", ref: "~DEFAULT_BRANCH",
		bypass: args.bypass(),
		rules:  args.branchRules(checks),
	}}
}

// rule registers rulesets, and adds their numbers to ids.
func (r *Repository) rule(ctx *pulumi.Context, name string, rulesets []ruleset, ids pulumi.Map, after []pulumi.Resource) ([]pulumi.Resource, error) {
	args := r.args
	if args.Enforcement == NoRulesets {
		return nil, nil
	}
	var all []pulumi.Resource
	for _, ruleset := range rulesets {
		child, title := name+"-"+ruleset.name, "clawft "+ruleset.name
		fresh, err := r.unclaimed(ctx, child, rulesetClaim(args.Owner, args.Name, title))
		if err != nil {
			return nil, err
		}
		registered, err := github.NewRepositoryRuleset(ctx, child, &github.RepositoryRulesetArgs{
			Repository:   pulumi.String(args.Name),
			Name:         pulumi.String(title),
			Target:       pulumi.String(ruleset.target),
			Enforcement:  pulumi.String(args.Enforcement),
			BypassActors: bypassActors(ruleset.bypass),
			Conditions: github.RepositoryRulesetConditionsArgs{
				RefName: github.RepositoryRulesetConditionsRefNameArgs{
					Includes: pulumi.ToStringArray([]string{ruleset.ref}),
					Excludes: pulumi.StringArray{},
				},
			},
			Rules: ruleset.rules,
		}, append(repositoryOptions(r), fresh, pulumi.DependsOn(after))...)
		if err != nil {
			return nil, fmt.Errorf("registering the ruleset %s: %w", ruleset.name, err)
		}
		all = append(all, registered)
		ids[ruleset.name] = registered.RulesetId
	}
	return all, nil
}

func (args *RepositoryArgs) branchRules(names []string) github.RepositoryRulesetRulesArgs {
	checks := make(github.RepositoryRulesetRulesRequiredStatusChecksRequiredCheckArray, len(names))
	for i, check := range names {
		checks[i] = github.RepositoryRulesetRulesRequiredStatusChecksRequiredCheckArgs{
			Context:       pulumi.String(check),
			IntegrationId: pulumi.Int(actionsApp),
		}
	}
	methods, queueMethod := []string{"merge", "squash", "rebase"}, "MERGE"
	if args.LinearHistory {
		methods, queueMethod = []string{"squash", "rebase"}, "SQUASH"
	}
	rules := github.RepositoryRulesetRulesArgs{
		Deletion:              pulumi.Bool(true),
		NonFastForward:        pulumi.Bool(true),
		RequiredLinearHistory: pulumi.Bool(args.LinearHistory),
		PullRequest: github.RepositoryRulesetRulesPullRequestArgs{
			RequiredApprovingReviewCount: pulumi.Int(args.RequiredReviews),
			DismissStaleReviewsOnPush:    pulumi.Bool(true),
			// Who approved must have seen the last push.
			RequireLastPushApproval:        pulumi.Bool(args.RequiredReviews > 0),
			RequiredReviewThreadResolution: pulumi.Bool(true),
			AllowedMergeMethods:            pulumi.ToStringArray(methods),
		},
		RequiredStatusChecks: github.RepositoryRulesetRulesRequiredStatusChecksArgs{
			RequiredChecks: checks,
			// A queue tests what it merges; without one the branch has to be up to date.
			StrictRequiredStatusChecksPolicy: pulumi.Bool(!args.MergeQueue),
		},
	}
	if args.MergeQueue {
		rules.MergeQueue = github.RepositoryRulesetRulesMergeQueueArgs{MergeMethod: pulumi.String(queueMethod)}
	}
	return rules
}

func bypassActors(actors []Actor) github.RepositoryRulesetBypassActorArray {
	array := make(github.RepositoryRulesetBypassActorArray, len(actors))
	for i, actor := range actors {
		args := github.RepositoryRulesetBypassActorArgs{
			ActorType:  pulumi.String(actor.Type),
			BypassMode: pulumi.String("always"),
		}
		if actor.Mode != "" {
			args.BypassMode = pulumi.String(actor.Mode)
		}
		if actor.ID != 0 {
			args.ActorId = pulumi.IntPtr(actor.ID)
		}
		array[i] = args
	}
	return array
}
