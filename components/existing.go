package components

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// claim is something at GitHub that a stack is about to create. GitHub lets some
// of it be created over what is there, without a word: environments and secrets.
type claim struct {
	// what it is, such as "the environment prod", and what creating it would do to
	// one that is there.
	what, harm string
	// path below the repository's endpoint. It answers 200 if the thing is there,
	// or with the list that find looks into.
	path string
	// find returns the number of the thing in a list, or 0. Nil where path is the
	// thing's own.
	find func(list []byte) int
	// token and id are what an import takes; id has %d for the number. Empty where
	// nothing can be imported.
	token, id string
	// remove is a command that does away with it.
	remove string
	// overwrites is true where GitHub would not refuse the creation by itself.
	overwrites bool
}

// unclaimed has a resource refuse to be created, in a preview already, where
// something is there that this stack did not make. Only the engine knows what the
// stack made, so it is asked in the hook that runs when something is created.
func unclaimed(ctx *pulumi.Context, owner, repository, name string, parent pulumi.Resource, c claim) (pulumi.ResourceOption, error) {
	hook, err := ctx.RegisterResourceHook("unclaimed-"+name, func(*pulumi.ResourceHookArgs) error {
		endpoint := fmt.Sprintf("repos/%s/%s/%s", owner, repository, c.path)
		answer, err := github.GetRestApi(ctx, &github.GetRestApiArgs{Endpoint: endpoint}, pulumi.Parent(parent))
		switch {
		case err == nil && answer.Code == http.StatusNotFound:
			return nil
		case err != nil || answer.Code != http.StatusOK:
			// Not knowing must not stop a preview; overwriting something needs an answer.
			if ctx.DryRun() || !c.overwrites {
				return nil
			}
			if err == nil {
				err = fmt.Errorf("the answer is %s", answer.Status)
			}
			return fmt.Errorf("asking GitHub whether %s/%s has %s, which would be overwritten: %w", owner, repository, c.what, err)
		}
		number := 0
		if c.find != nil {
			if number = c.find([]byte(answer.Body)); number == 0 {
				return nil
			}
		}
		return c.refusal(ctx.Stack(), owner+"/"+repository, name, number)
	}, &pulumi.ResourceHookOptions{OnDryRun: true})
	if err != nil {
		return nil, fmt.Errorf("registering the hook of %s: %w", name, err)
	}
	return pulumi.ResourceHooks(&pulumi.ResourceHookBinding{BeforeCreate: []*pulumi.ResourceHook{hook}}), nil
}

func (c claim) refusal(stack, repository, name string, number int) error {
	ways := []string{}
	if c.token != "" {
		id := c.id
		if number != 0 {
			id = fmt.Sprintf(c.id, number)
		}
		ways = append(ways, fmt.Sprintf("adopt it, and see in the next preview how it would change: pulumi import --stack %s --protect=false --generate-code=false %s %s '%s'",
			stack, c.token, name, id))
	}
	remove := c.remove
	if number != 0 {
		remove = fmt.Sprintf(c.remove, number)
	}
	ways = append(ways, "or remove it: "+remove)
	if c.token == "" {
		ways = []string{"nobody can read it, so it cannot be adopted; remove it: " + remove}
	}
	return fmt.Errorf("%s has %s already, which this stack did not make%s; %s", repository, c.what, c.harm, strings.Join(ways, ", "))
}

func fileClaim(owner, repository, branch, path string) claim {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return claim{
		what:   "the file " + path,
		path:   "contents/" + strings.Join(segments, "/") + "?ref=" + url.QueryEscape(branch),
		token:  "github:index/repositoryFile:RepositoryFile",
		id:     repository + ":" + path + ":" + branch,
		remove: fmt.Sprintf("git rm %s, in %s/%s", path, owner, repository),
	}
}

func environmentClaim(owner, repository, environment string) claim {
	path := "environments/" + url.PathEscape(environment)
	return claim{
		what: "the environment " + environment, harm: " and would overwrite: its reviewers, its wait timer and who may deploy from where",
		path:       path,
		token:      "github:index/repositoryEnvironment:RepositoryEnvironment",
		id:         repository + ":" + environment,
		remove:     fmt.Sprintf("gh api --method DELETE repos/%s/%s/%s", owner, repository, path),
		overwrites: true,
	}
}

func deploymentPolicyClaim(owner, repository, environment, tag string) claim {
	path := "environments/" + url.PathEscape(environment) + "/deployment-branch-policies"
	return claim{
		what: fmt.Sprintf("the deployment policy %s of the environment %s", tag, environment),
		path: path + "?per_page=100",
		find: func(list []byte) int {
			var answer struct {
				Policies []struct {
					ID   int    `json:"id"`
					Name string `json:"name"`
					Type string `json:"type"`
				} `json:"branch_policies"`
			}
			if json.Unmarshal(list, &answer) != nil {
				return 0
			}
			for _, policy := range answer.Policies {
				if policy.Name == tag && policy.Type == "tag" {
					return policy.ID
				}
			}
			return 0
		},
		token:  "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy",
		id:     repository + ":" + environment + ":%d",
		remove: fmt.Sprintf("gh api --method DELETE repos/%s/%s/%s/%%d", owner, repository, path),
	}
}

func secretClaim(owner, repository, environment, secret string) claim {
	return claim{
		what: fmt.Sprintf("the secret %s of the environment %s", secret, environment), harm: " and would overwrite",
		path:       "environments/" + url.PathEscape(environment) + "/secrets/" + secret,
		remove:     fmt.Sprintf("gh secret delete %s --env %s --repo %s/%s", secret, environment, owner, repository),
		overwrites: true,
	}
}

func variableClaim(owner, repository, variable string) claim {
	return claim{
		what:   "the variable " + variable,
		path:   "actions/variables/" + variable,
		token:  "github:index/actionsVariable:ActionsVariable",
		id:     repository + ":" + variable,
		remove: fmt.Sprintf("gh variable delete %s --repo %s/%s", variable, owner, repository),
	}
}

func rulesetClaim(owner, repository, ruleset string) claim {
	return claim{
		what: fmt.Sprintf("the ruleset %q", ruleset),
		path: "rulesets?includes_parents=false&per_page=100",
		find: func(list []byte) int {
			var rulesets []struct {
				ID   int    `json:"id"`
				Name string `json:"name"`
			}
			if json.Unmarshal(list, &rulesets) != nil {
				return 0
			}
			for _, found := range rulesets {
				if found.Name == ruleset {
					return found.ID
				}
			}
			return 0
		},
		token:  "github:index/repositoryRuleset:RepositoryRuleset",
		id:     repository + ":%d",
		remove: fmt.Sprintf("gh api --method DELETE repos/%s/%s/rulesets/%%d", owner, repository),
	}
}
