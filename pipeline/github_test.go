package pipeline

import (
	"slices"
	"strings"
	"testing"
)

const (
	commit      = "0123456789abcdef0123456789abcdef01234567"
	githubBlock = "{owner: clawft, repository: clawft, bypassActor: {id: 5, type: RepositoryRole}, infra: {repository: clawft/infra, ref: '" + commit + "'}}"
)

func TestWrongGitHub(t *testing.T) {
	testWrong(t, []wrongConfig{
		{"nothing but a branch", map[string]string{"github:token": "{secure: x}", "github": "{defaultBranch: master}"}, []string{
			"clawft:github.bypassActor: got nothing; want the actor as which the pipeline writes files, or the rulesets block its next update; {id: 5, type: RepositoryRole} is the admin role",
			"clawft:github.infra.ref: got nothing; want the commit whose release workflow is called, as 40 hexadecimal digits: git rev-parse HEAD",
			"clawft:github.infra.repository: got nothing; want this repository as owner/name, such as clawft/infra",
			"clawft:github.owner: got nothing; want the user or organization that owns the repository",
			"clawft:github.repository: got nothing; want the repository's name, without its owner",
		}},
		{"everything wrong", map[string]string{"github:token": "{secure: x}", "github": "{owner: a/b, repository: a/b, defaultBranch: -x, enforcement: strict, requiredReviews: 11," +
			"bypassActor: {type: Robot, mode: pullRequest}, releasers: [{type: Team}, {id: 1, type: OrganizationAdmin}], environment: {reviewers: {users: [1, 2, 3, 4], teams: [5, 6, 7]}}," +
			"infra: {repository: infra, ref: v1}, toolchain: stable, limits: {binaryMiB: 0}, variables: {lower: x, GITHUB_X: x}}"}, []string{
			`clawft:github.bypassActor.mode: got "pullRequest"; want one of always, exempt`,
			`clawft:github.bypassActor.type: got "Robot"; want one of RepositoryRole, Team, Integration, OrganizationAdmin, DeployKey`,
			`clawft:github.defaultBranch: got "-x"; want a branch name, such as main`,
			`clawft:github.enforcement: got "strict"; want one of active, evaluate, disabled, none`,
			"clawft:github.environment.reviewers: got 7 reviewers; want at most 6 users and teams together",
			`clawft:github.infra.ref: got "v1"; want the commit whose release workflow is called, as 40 hexadecimal digits: git rev-parse HEAD`,
			`clawft:github.infra.repository: got "infra"; want this repository as owner/name, such as clawft/infra`,
			"clawft:github.limits.binaryMiB: got 0; want 1 to 1024 MiB",
			`clawft:github.owner: got "a/b"; want the user or organization that owns the repository`,
			"clawft:github.releasers[0].id: got nothing; want the number of the Team",
			"clawft:github.releasers[1].id: got 1; want no number, because there is only one OrganizationAdmin",
			`clawft:github.repository: got "a/b"; want the repository's name, without its owner`,
			"clawft:github.requiredReviews: got 11; want 0 to 10",
			`clawft:github.toolchain: got "stable"; want a Rust version in quotes, such as "1.93"`,
			`clawft:github.variables.GITHUB_X: got the name "GITHUB_X"; want capital letters, digits and _, not starting with a digit or GITHUB_`,
			`clawft:github.variables.lower: got the name "lower"; want capital letters, digits and _, not starting with a digit or GITHUB_`,
		}},
		{"secrets without a repository", map[string]string{"actionsSecrets": "{TOKEN: {secure: x}}"}, []string{
			"clawft:actionsSecrets: got secrets; want no Actions secrets in a stack that does not manage a repository",
		}},
		{"an empty secret", map[string]string{"github:token": "{secure: x}", "github": githubBlock, "actionsSecrets": "{TOKEN: {secure: ''}}"}, []string{
			"clawft:actionsSecrets.TOKEN: got an empty value; want a secret: pulumi config set --stack dev --secret --path 'clawft:actionsSecrets.TOKEN'",
		}},
	})
}

func TestGitHubDefaults(t *testing.T) {
	cfg, err := with(map[string]string{"github:token": "{secure: x}", "github": githubBlock}).load(t, "prod")
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.GitHub
	if got.DefaultBranch != "main" || got.Enforcement != "active" || got.RequiredReviews != 1 || !got.LinearHistory || got.MergeQueue ||
		got.BypassActor.Mode != "always" || got.Toolchain != "1.93" || got.Limits != (SizeLimits{10, 300, 120}) {
		t.Errorf("got %+v", got)
	}

	disabled := strings.Replace(githubBlock, "bypassActor: {id: 5, type: RepositoryRole}", "enforcement: disabled", 1)
	if _, err := with(map[string]string{"github:token": "{secure: x}", "github": disabled}).load(t, "prod"); err != nil {
		t.Errorf("disabled rulesets need no bypass actor: %v", err)
	}
	key := strings.Replace(githubBlock, "{id: 5, type: RepositoryRole}", "{type: DeployKey}", 1)
	if _, err := with(map[string]string{"github:token": "{secure: x}", "github": key}).load(t, "prod"); err != nil {
		t.Errorf("a deploy key has no number: %v", err)
	}
	if absent, err := with(map[string]string{"github:token": "{secure: x}", "github": "{}"}).load(t, "prod"); err != nil || absent.GitHub != nil {
		t.Errorf("an empty block: got %v, %v, want none", absent, err)
	}
	if !slices.Equal(got.Environment.Reviewers.Users, nil) {
		t.Errorf("got reviewers %v, want none", got.Environment.Reviewers)
	}
}
