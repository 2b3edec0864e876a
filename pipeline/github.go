package pipeline

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
)

// GitHub describes how the gateway's own repository is managed.
type GitHub struct {
	// Owner of the repository: a user or an organization. Required.
	Owner string `json:"owner"`
	// Name of the repository. Required.
	Repository string `json:"repository"`
	// Branch that pull requests go to.
	DefaultBranch string `json:"defaultBranch" default:"main"`
	// Enforcement of the rulesets: active, evaluate (report only, which needs
	// GitHub Enterprise), disabled, or none, which makes no rulesets: GitHub offers
	// them in public repositories and with a paid plan. Rulesets that are there
	// stay; set disabled first.
	Enforcement string `json:"enforcement" default:"active"`
	// Approving reviews that a pull request needs.
	RequiredReviews int `json:"requiredReviews" default:"1"`
	// Merge through a merge queue.
	MergeQueue bool `json:"mergeQueue" default:"false"`
	// Demand a linear history: no merge commits.
	LinearHistory bool `json:"linearHistory" default:"true"`
	// Who may bypass the rulesets. The pipeline's own identity must be able to,
	// because it writes workflow files to the default branch. Required, unless
	// the rulesets are disabled or there are none.
	BypassActor *BypassActor `json:"bypassActor"`
	// Who may create release tags. Default: the repository's admins.
	Releasers []BypassActor `json:"releasers"`
	// Deployment environment of the release workflow. It has the stack's name.
	Environment Environment `json:"environment"`
	// This repository, whose release workflow is called. Required.
	Infra InfraRepository `json:"infra"`
	// Rust toolchain of the workflows.
	Toolchain string `json:"toolchain" default:"1.93"`
	// Size limits that the workflows enforce.
	Limits SizeLimits `json:"limits"`
	// GitHub Actions variables to set in the repository, by name.
	Variables map[string]string `json:"variables"`

	// Secrets are the Actions secrets to set in the repository.
	Secrets pulumi.StringMap `json:"-"`
}

// BypassActor may bypass rulesets.
type BypassActor struct {
	// Number of the team, of the GitHub App, or of the role (5 is admin). The
	// other types have none.
	ID int `json:"id"`
	// RepositoryRole, Team, Integration, OrganizationAdmin or DeployKey. Required.
	Type string `json:"type"`
	// How: always, or exempt, which leaves no entry in the ruleset's insights.
	Mode string `json:"mode" default:"always"`
}

// Environment is a deployment environment at GitHub.
type Environment struct {
	// Who must approve a deployment; at most 6.
	Reviewers Reviewers `json:"reviewers"`
}

// Reviewers approve deployments.
type Reviewers struct {
	// Numbers of users, as in `gh api users/NAME --jq .id`.
	Users []int `json:"users"`
	// Numbers of teams, as in `gh api orgs/ORG/teams/NAME --jq .id`.
	Teams []int `json:"teams"`
}

// InfraRepository is where the reusable release workflow is.
type InfraRepository struct {
	// Repository, as owner/name.
	Repository string `json:"repository"`
	// Commit whose workflow is called: 40 hexadecimal digits.
	Ref string `json:"ref"`
	// What that commit is known as, such as v1.2.0; a comment in the workflow.
	Version string `json:"version"`
}

// SizeLimits are what the workflows of the gateway's repository enforce.
type SizeLimits struct {
	// Release binary, in MiB.
	BinaryMiB int `json:"binaryMiB" default:"10"`
	// WebAssembly module, in KiB.
	WasmKiB int `json:"wasmKiB" default:"300"`
	// WebAssembly module compressed by gzip, in KiB.
	WasmGzipKiB int `json:"wasmGzipKiB" default:"120"`
}

const (
	mostReviews   = 10 // per pull request, GitHub's limit
	mostReviewers = 6  // per environment, GitHub's limit
)

var (
	ownerPattern      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,37}[A-Za-z0-9])?$`)
	repoNamePattern   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	ownerRepoPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)
	commitPattern     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	toolchainPattern  = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+)?$`)
	actionNamePattern = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

func (g *GitHub) check(r *report, path string) {
	if g == nil {
		return
	}
	if !ownerPattern.MatchString(g.Owner) {
		r.wrong(path+".owner", quoteOrNothing(g.Owner), "the user or organization that owns the repository")
	}
	if !repoNamePattern.MatchString(g.Repository) {
		r.wrong(path+".repository", quoteOrNothing(g.Repository), "the repository's name, without its owner")
	}
	if !gitRefPattern.MatchString(g.DefaultBranch) {
		r.wrong(path+".defaultBranch", quote(g.DefaultBranch), "a branch name, such as main")
	}
	r.oneOf(path+".enforcement", g.Enforcement, "active", "evaluate", "disabled", components.NoRulesets)
	r.between(path+".requiredReviews", g.RequiredReviews, 0, mostReviews, "")
	g.checkBypassActor(r, path+".bypassActor")
	for i, releaser := range g.Releasers {
		releaser.check(r, elementPath(path+".releasers", i))
	}
	reviewers := g.Environment.Reviewers
	if count := len(reviewers.Users) + len(reviewers.Teams); count > mostReviewers {
		r.wrong(path+".environment.reviewers", fmt.Sprintf("%d reviewers", count), "at most %d users and teams together", mostReviewers)
	}
	if !ownerRepoPattern.MatchString(g.Infra.Repository) {
		r.wrong(path+".infra.repository", quoteOrNothing(g.Infra.Repository), "this repository as owner/name, such as clawft/infra")
	}
	if !commitPattern.MatchString(g.Infra.Ref) {
		r.wrong(path+".infra.ref", quoteOrNothing(g.Infra.Ref), "the commit whose release workflow is called, as 40 hexadecimal digits: git rev-parse HEAD")
	}
	if !toolchainPattern.MatchString(g.Toolchain) {
		r.wrong(path+".toolchain", quote(g.Toolchain), "a Rust version in quotes, such as \"1.93\"")
	}
	limits := path + ".limits"
	r.between(limits+".binaryMiB", g.Limits.BinaryMiB, 1, 1024, " MiB")
	r.between(limits+".wasmKiB", g.Limits.WasmKiB, 1, 1<<20, " KiB")
	r.between(limits+".wasmGzipKiB", g.Limits.WasmGzipKiB, 1, 1<<20, " KiB")
	for _, name := range slices.Sorted(maps.Keys(g.Variables)) {
		checkActionsName(r, path+".variables."+name, name)
	}
}

func (g *GitHub) checkBypassActor(r *report, path string) {
	if g.BypassActor == nil {
		if g.Enforcement != "disabled" && g.Enforcement != components.NoRulesets {
			r.wrong(path, nothing, "the actor as which the pipeline writes files, or the rulesets block its next update; {id: 5, type: RepositoryRole} is the admin role")
		}
		return
	}
	g.BypassActor.check(r, path)
}

func (a BypassActor) check(r *report, path string) {
	numbered := []string{"RepositoryRole", "Team", "Integration"}
	r.oneOf(path+".type", a.Type, append(numbered, "OrganizationAdmin", "DeployKey")...)
	r.oneOf(path+".mode", a.Mode, "always", "exempt")
	switch {
	case slices.Contains(numbered, a.Type) && a.ID < 1:
		r.wrong(path+".id", r.number(path+".id", a.ID), "the number of the %s", a.Type)
	case !slices.Contains(numbered, a.Type) && a.ID != 0:
		r.wrong(path+".id", r.number(path+".id", a.ID), "no number, because there is only one %s", a.Type)
	}
}

func checkActionsSecrets(r *report, path string, given *settings) {
	if len(given.ActionsSecrets) > 0 && given.GitHub == nil {
		r.wrong(path, "secrets", "no Actions secrets in a stack that does not manage a repository")
	}
	for _, name := range slices.Sorted(maps.Keys(given.ActionsSecrets)) {
		checkActionsName(r, path+"."+name, name)
		if given.ActionsSecrets[name] == "" {
			r.wrong(path+"."+name, "an empty value", "a secret: %s", r.setSecretCommand(path+"."+name))
		}
	}
}

func checkActionsName(r *report, path, name string) {
	if !actionNamePattern.MatchString(name) || strings.HasPrefix(name, "GITHUB_") {
		r.wrong(path, "the name "+quote(name), "capital letters, digits and _, not starting with a digit or GITHUB_")
	}
}
