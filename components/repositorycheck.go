package components

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RepositoryNeeds is what a repository's plan at GitHub has to include.
type RepositoryNeeds struct {
	// Owner and Name of the repository.
	Owner, Name string
	// Enforcement and MergeQueue are as in RepositoryArgs.
	Enforcement string
	MergeQueue  bool
	// Reviewers is how many must be asked before a deployment.
	Reviewers int
}

// CheckRepository asks GitHub, before anything is written, whether the token is
// accepted and whether the repository's plan includes what the stack sets up. All
// problems are reported at once. Only an answer that leaves no doubt counts: what
// GitHub does not tell, creating it will.
func CheckRepository(ctx *pulumi.Context, providers *Providers, needs *RepositoryNeeds) error {
	if needs == nil {
		return nil
	}
	use := pulumi.Provider(providers.github)
	fullName := needs.Owner + "/" + needs.Name
	found, err := github.LookupRepository(ctx, &github.LookupRepositoryArgs{FullName: &fullName}, use)
	switch {
	case err != nil && configuredApp(ctx) && (says(err, "OAuth token from GitHub App") || says(err, ": 401 ")):
		return fmt.Errorf("github:appAuth is wrong: GitHub gives no token for it; give the number and the private key of a GitHub App that is installed at %s: pulumi config set --stack %s --secret --path 'github:appAuth.pemFile'", needs.Owner, ctx.Stack())
	case err != nil && says(err, ": 401 "):
		return fmt.Errorf("github:token is wrong: GitHub answers 401; set one that is valid: pulumi config set --stack %s --secret github:token, or the environment variable GITHUB_TOKEN", ctx.Stack())
	case err != nil:
		return nil //nolint:nilerr // no definite answer
	case found.RepoId == 0:
		return fmt.Errorf("clawft:github: there is no repository %s, or github:token may not see it; create it, or give the token access to it", fullName)
	case found.Archived:
		return fmt.Errorf("clawft:github: the repository %s is archived, so nothing in it can be changed; unarchive it, or remove clawft:github", fullName)
	}
	if problems := needs.refused(ctx, found.Private, use); len(problems) > 0 {
		return fmt.Errorf("what the plan of %s at GitHub does not include:\n  %s", fullName, strings.Join(problems, "\n  "))
	}
	return nil
}

func (needs *RepositoryNeeds) refused(ctx *pulumi.Context, private bool, use pulumi.InvokeOption) []string {
	var problems []string
	if private && needs.Enforcement != NoRulesets {
		_, err := github.GetRestApi(ctx, &github.GetRestApiArgs{
			Endpoint: fmt.Sprintf("repos/%s/%s/rulesets?per_page=1", needs.Owner, needs.Name),
		}, use)
		if err != nil && says(err, "403", "Upgrade to") {
			problems = append(problems, "rulesets, because it is private; make it public, use GitHub Pro, Team or Enterprise, or set clawft:github.enforcement to none and let people keep to the rules")
		}
	}
	if !needs.MergeQueue && needs.Enforcement != "evaluate" && (!private || needs.Reviewers == 0) {
		return problems
	}
	plan, organization := planOf(ctx, needs.Owner, use)
	below := slices.Contains([]string{"free", "pro", "team"}, plan)
	if private && needs.Reviewers > 0 && below {
		problems = append(problems, "reviewers of a deployment, because it is private; make it public, use GitHub Enterprise, or remove clawft:github.environment.reviewers and protect the tags v* by clawft:github.releasers")
	}
	if needs.MergeQueue && (organization == no || private && below) {
		problems = append(problems, "a merge queue, which is for public repositories of organizations and for GitHub Enterprise; set clawft:github.mergeQueue to false")
	}
	if needs.Enforcement == "evaluate" && below {
		problems = append(problems, "rulesets that only report, which need GitHub Enterprise; set clawft:github.enforcement to active or disabled")
	}
	return problems
}

// configuredApp is true where a GitHub App takes the place of a token.
func configuredApp(ctx *pulumi.Context) bool {
	_, given := ctx.GetConfig("github:appAuth")
	return given
}

// answer is one that may be missing.
type answer int

const (
	unknown answer = iota
	yes
	no
)

// planOf is the owner's plan, such as "free", or "" if GitHub does not tell, and
// whether the owner is an organization.
func planOf(ctx *pulumi.Context, owner string, use pulumi.InvokeOption) (plan string, organization answer) {
	var account struct {
		Login, Type string
		Plan        struct{ Name string }
	}
	ask := func(endpoint string) bool {
		got, err := github.GetRestApi(ctx, &github.GetRestApiArgs{Endpoint: endpoint}, use)
		return err == nil && got.Code == http.StatusOK && json.Unmarshal([]byte(got.Body), &account) == nil
	}
	if !ask("users/"+owner) || !strings.EqualFold(account.Login, owner) {
		return "", unknown
	}
	switch account.Type {
	case "Organization":
		if !ask("orgs/" + owner) {
			return "", yes
		}
		return account.Plan.Name, yes
	case "User":
		// Only the user is told, and the token may be somebody else's.
		if !ask("user") || !strings.EqualFold(account.Login, owner) {
			return "", no
		}
		return account.Plan.Name, no
	}
	return "", unknown
}

// says reports whether an error of the plugin has all of the words.
func says(err error, words ...string) bool {
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			return false
		}
	}
	return true
}
