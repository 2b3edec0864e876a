package components

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
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

// RepositoryArgs describes the rules of the gateway's own repository.
type RepositoryArgs struct {
	// Name of the repository, without its owner.
	Name string
	// Workflows report the checks that the default branch requires. They are
	// written before the ruleset that requires them.
	Workflows *Workflows
	// Enforcement of the rulesets: "active", "evaluate" (only report; needs
	// GitHub Enterprise) or "disabled".
	Enforcement string
	// RequiredReviews is how many approvals a pull request needs, 0 to 10.
	RequiredReviews int
	// LinearHistory forbids merge commits on the default branch.
	LinearHistory bool
	// MergeQueue merges pull requests through a queue, which GitHub has for
	// repositories of organizations.
	MergeQueue bool
	// Bypass is who this stack is at GitHub. It needs to write workflow files to
	// the default branch, so it has to be named unless Enforcement is "disabled".
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
}

// NewRepository registers the environment, its secrets, the variables and, once
// the workflows are written, the rulesets.
func NewRepository(ctx *pulumi.Context, name string, args *RepositoryArgs, opts ...pulumi.ResourceOption) (*Repository, error) {
	if err := args.check(); err != nil {
		return nil, err
	}
	repository := &Repository{}
	if err := ctx.RegisterComponentResource("clawft:index:Repository", name, repository, opts...); err != nil {
		return nil, err
	}
	if err := repository.deployFrom(ctx, name, args); err != nil {
		return nil, err
	}
	if err := repository.rule(ctx, name, args); err != nil {
		return nil, err
	}
	return repository, ctx.RegisterResourceOutputs(repository, pulumi.Map{"rulesets": repository.Rulesets})
}

func (args *RepositoryArgs) check() error {
	if args.Workflows == nil {
		return errors.New("a repository requires checks, and nothing reports them; give RepositoryArgs.Workflows")
	}
	if args.Workflows.repository != args.Name {
		return fmt.Errorf("the workflows are written to the repository %q and the rules are for %q; give the same one", args.Workflows.repository, args.Name)
	}
	if args.Bypass == nil && args.Enforcement != "disabled" {
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

// deployFrom registers what release.yml needs to deploy.
func (r *Repository) deployFrom(ctx *pulumi.Context, name string, args *RepositoryArgs) error {
	options := repositoryOptions(r)
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
	environment, err := github.NewRepositoryEnvironment(ctx, name+"-environment", environmentArgs, options...)
	if err != nil {
		return fmt.Errorf("registering the environment %s: %w", args.Environment.Name, err)
	}
	if _, err := github.NewRepositoryEnvironmentDeploymentPolicy(ctx, name+"-release-tags-only", &github.RepositoryEnvironmentDeploymentPolicyArgs{
		Repository:  pulumi.String(args.Name),
		Environment: environment.Environment,
		TagPattern:  pulumi.String(releaseTags),
	}, options...); err != nil {
		return fmt.Errorf("registering the deployment policy of %s: %w", args.Environment.Name, err)
	}

	// Credentials go when the stack goes.
	parent := pulumi.Parent(r)
	for _, secret := range slices.Sorted(maps.Keys(args.Secrets)) {
		if _, err := github.NewActionsEnvironmentSecret(ctx, name+"-secret-"+secret, &github.ActionsEnvironmentSecretArgs{
			Repository:  pulumi.String(args.Name),
			Environment: environment.Environment,
			SecretName:  pulumi.String(secret),
			Value:       args.Secrets[secret].ToStringOutput().ToStringPtrOutput(),
		}, parent); err != nil {
			return fmt.Errorf("registering the secret %s: %w", secret, err)
		}
	}
	for _, variable := range slices.Sorted(maps.Keys(args.Variables)) {
		if _, err := github.NewActionsVariable(ctx, name+"-variable-"+variable, &github.ActionsVariableArgs{
			Repository:   pulumi.String(args.Name),
			VariableName: pulumi.String(variable),
			Value:        pulumi.String(args.Variables[variable]),
		}, parent, pulumi.Aliases([]pulumi.Alias{{NoParent: pulumi.Bool(true)}})); err != nil {
			return fmt.Errorf("registering the variable %s: %w", variable, err)
		}
	}
	return nil
}

// rule registers the rulesets.
func (r *Repository) rule(ctx *pulumi.Context, name string, args *RepositoryArgs) error {
	releasers := args.Releasers
	if len(releasers) == 0 {
		releasers = []Actor{{Type: "RepositoryRole", ID: adminRole}}
	}
	ids := pulumi.Map{}
	for _, ruleset := range []struct {
		name, target, ref string
		bypass            []Actor
		rules             github.RepositoryRulesetRulesArgs
	}{
		{
			name: "default-branch", target: "branch", ref: "~DEFAULT_BRANCH",
			bypass: args.bypass(),
			rules:  args.branchRules(),
		},
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
	} {
		// The rule that would block a file comes after the file.
		options := append(repositoryOptions(r), pulumi.DependsOn(args.Workflows.files))
		registered, err := github.NewRepositoryRuleset(ctx, name+"-"+ruleset.name, &github.RepositoryRulesetArgs{
			Repository:   pulumi.String(args.Name),
			Name:         pulumi.String("clawft " + ruleset.name),
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
		}, options...)
		if err != nil {
			return fmt.Errorf("registering the ruleset %s: %w", ruleset.name, err)
		}
		ids[ruleset.name] = registered.RulesetId
	}
	r.Rulesets = ids.ToMapOutput()
	return nil
}

func (args *RepositoryArgs) branchRules() github.RepositoryRulesetRulesArgs {
	checks := make(github.RepositoryRulesetRulesRequiredStatusChecksRequiredCheckArray, len(args.Workflows.Checks))
	for i, check := range args.Workflows.Checks {
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
