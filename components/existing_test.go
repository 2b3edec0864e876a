package components

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

const (
	getRestAPI    = "github:index/getRestApi:getRestApi"
	getRepository = "github:index/getRepository:getRepository"
)

type functions = map[string]func(resource.PropertyMap) (resource.PropertyMap, error)

// hubOf answers as the plugin does for a GitHub with these endpoints: a body, or
// "ERROR" and what the plugin says of another status than 404.
func hubOf(endpoints map[string]string) functions {
	return functions{
		getRestAPI: func(args resource.PropertyMap) (resource.PropertyMap, error) {
			endpoint := args["endpoint"].StringValue()
			body, found := endpoints[endpoint]
			if message, failed := strings.CutPrefix(body, "ERROR "); failed {
				return nil, errors.New(message)
			}
			code := http.StatusOK
			if !found {
				body, code = `{"message":"Not Found"}`, http.StatusNotFound
			}
			return resource.PropertyMap{
				"endpoint": resource.NewProperty(endpoint), "body": resource.NewProperty(body),
				"code": resource.NewProperty(float64(code)), "status": resource.NewProperty(http.StatusText(code)),
			}, nil
		},
	}
}

// taken is an endpoint of everything that the component creates, by the name
// of the resource, and what GitHub answers where the thing is there.
var taken = map[string]struct{ endpoint, body, says string }{
	"repository-size":       {"contents/.github/gates/size.sh?ref=main", "{}", "'clawft:.github/gates/size.sh:main'"},
	"repository-image-size": {"contents/.github/gates/image-size.sh?ref=main", "{}", "'clawft:.github/gates/image-size.sh:main'"},
	"repository-smoke":      {"contents/.github/gates/smoke.sh?ref=main", "{}", "'clawft:.github/gates/smoke.sh:main'"},
	"repository-dockerfile": {"contents/.github/gates/Dockerfile?ref=main", "{}", "'clawft:.github/gates/Dockerfile:main'"},
	"repository-pr-gates":   {"contents/.github/workflows/pr-gates.yml?ref=main", "{}", "'clawft:.github/workflows/pr-gates.yml:main'"},
	"repository-release":    {"contents/.github/workflows/release.yml?ref=main", "{}", "or remove it: git rm .github/workflows/release.yml, in clawft/clawft"},
	"repository-environment": {"environments/prod", "{}",
		"has the environment prod already, which this stack did not make and would overwrite: its reviewers, its wait timer and who may deploy from where; " +
			"adopt it, and see in the next preview how it would change: pulumi import --stack prod --protect=false --generate-code=false github:index/repositoryEnvironment:RepositoryEnvironment repository-environment 'clawft:prod'"},
	"repository-release-tags-only": {"environments/prod/deployment-branch-policies?per_page=100",
		`{"branch_policies":[{"id":4,"name":"v*","type":"branch"},{"id":5,"name":"v*","type":"tag"}]}`, "'clawft:prod:5'"},
	"repository-secret-PULUMI_ACCESS_TOKEN": {"environments/prod/secrets/PULUMI_ACCESS_TOKEN", "{}",
		"which this stack did not make and would overwrite; nobody can read it, so it cannot be adopted; remove it: gh secret delete PULUMI_ACCESS_TOKEN --env prod --repo clawft/clawft"},
	"repository-variable-PULUMI_BACKEND_URL": {"actions/variables/PULUMI_BACKEND_URL", "{}", "'clawft:PULUMI_BACKEND_URL'"},
	"repository-default-branch": {rulesets, `[{"id":3,"name":"another"},{"id":7,"name":"clawft default-branch"}]`,
		"'clawft:7', or remove it: gh api --method DELETE repos/clawft/clawft/rulesets/7"},
	"repository-release-tags":          {rulesets, `[{"id":8,"name":"clawft release-tags"}]`, "'clawft:8'"},
	"repository-release-tags-creation": {rulesets, `[{"id":9,"name":"clawft release-tags-creation"}]`, "'clawft:9'"},
}

const rulesets = "rulesets?includes_parents=false&per_page=100"

// Whatever the component creates, of whichever kind: where it is there already,
// nothing is overwritten, and a preview says so.
func TestNothingThatExistsIsTouched(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	if err := registerRepository(record, unchanged); err != nil {
		t.Fatal(err)
	}
	for _, recorded := range record.Resources() {
		if !recorded.Custom {
			continue
		}
		there, known := taken[recorded.Name]
		if !known {
			t.Errorf("nobody says what happens to a %s that exists before %s is created", recorded.Type, recorded.Name)
			continue
		}
		t.Run(recorded.Name, func(t *testing.T) {
			for _, preview := range []bool{true, false} {
				endpoint := "repos/clawft/clawft/" + there.endpoint
				again := &recorder.Recorder{Stack: "prod", Preview: preview, Functions: hubOf(map[string]string{endpoint: there.body})}
				err := registerRepository(again, unchanged)
				if err == nil || !strings.Contains(err.Error(), there.says) || !strings.Contains(err.Error(), "clawft/clawft has the ") {
					t.Errorf("preview: %t: it does not say %q: %v", preview, there.says, err)
				}
				if again.Find(recorded.Type, recorded.Name) != nil {
					t.Errorf("preview: %t: it was registered all the same", preview)
				}
			}
		})
	}
}

// No answer stops no preview. An update stops only before what would be
// overwritten without a word.
func TestOnlyDefiniteAnswersCount(t *testing.T) {
	overwritten := map[string]bool{"repository-environment": true, "repository-secret-PULUMI_ACCESS_TOKEN": true}
	for name, there := range taken {
		for _, body := range []string{
			"ERROR GET https://api.github.com/x: 501 Not Implemented []", "ERROR GET https://api.github.com/x: 403 Resource not accessible by personal access token []",
			"ERROR GET https://api.github.com/x: 500  []",
		} {
			for _, preview := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s %t", name, strings.Fields(body)[3], preview), func(t *testing.T) {
					record := &recorder.Recorder{Stack: "prod", Preview: preview, Functions: hubOf(map[string]string{"repos/clawft/clawft/" + there.endpoint: body})}
					err := registerRepository(record, unchanged)
					if want := overwritten[name] && !preview; (err != nil) != want {
						t.Errorf("it ended with %v", err)
					} else if want && !strings.Contains(err.Error(), "which would be overwritten: ") {
						t.Errorf("it does not say why: %v", err)
					}
				})
			}
		}
	}
}

// repositoryAnswer is what the plugin says of a repository.
func repositoryAnswer(fields map[string]any) func(resource.PropertyMap) (resource.PropertyMap, error) {
	return func(args resource.PropertyMap) (resource.PropertyMap, error) {
		answer := map[string]any{"repoId": 1, "fullName": args["fullName"].StringValue()}
		for key, value := range fields {
			answer[key] = value
		}
		return resource.NewPropertyMapFromMap(answer), nil
	}
}

func TestRepositoryIsCheckedBeforeAnythingIsWritten(t *testing.T) {
	const (
		upgrade = "ERROR GET https://api.github.com/repos/clawft/clawft/rulesets: 403 Upgrade to GitHub Pro or make this repository public to enable this feature. []"
		user    = `{"login":"clawft","type":"User"}`
		company = `{"login":"clawft","type":"Organization"}`
	)
	failing := func(message string) func(resource.PropertyMap) (resource.PropertyMap, error) {
		return func(resource.PropertyMap) (resource.PropertyMap, error) { return nil, errors.New(message) }
	}
	private := repositoryAnswer(map[string]any{"private": true})
	plan := func(name string) string {
		return `{"login":"clawft","type":"Organization","plan":{"name":"` + name + `"}}`
	}
	plain := RepositoryNeeds{Enforcement: "active"}
	reviewed := RepositoryNeeds{Enforcement: "active", Reviewers: 1}
	for _, test := range []struct {
		name      string
		answer    func(resource.PropertyMap) (resource.PropertyMap, error)
		endpoints map[string]string
		needs     RepositoryNeeds
		want      string // "" accepts it
	}{
		{"public", repositoryAnswer(nil), nil, reviewed, ""},
		{"a token that is wrong", failing("GET https://api.github.com/repos/clawft/clawft: 401 Bad credentials []"), nil, plain,
			"github:token is wrong: GitHub answers 401; set one that is valid: pulumi config set --stack prod --secret github:token, or the environment variable GITHUB_TOKEN"},
		{"GitHub is down", failing("GET https://api.github.com/repos/clawft/clawft: 503 []"), nil, plain, ""},
		{"an emulator", failing("GET http://127.0.0.1/repos/clawft/clawft: 501 Not Implemented []"), nil, plain, ""},
		{"an organization that demands more", failing("GET https://api.github.com/repos/clawft/clawft: 403 Resource protected by organization SAML enforcement []"), nil, plain, ""},
		{"no repository", func(resource.PropertyMap) (resource.PropertyMap, error) { return resource.PropertyMap{}, nil }, nil, plain,
			"there is no repository clawft/clawft, or github:token may not see it"},
		{"an archive", repositoryAnswer(map[string]any{"archived": true}), nil, plain, "is archived"},
		{"private and free", private, map[string]string{"repos/clawft/clawft/rulesets?per_page=1": upgrade}, plain, "rulesets, because it is private; make it public, use GitHub Pro, Team or Enterprise, or set clawft:github.enforcement to none"},
		{"private, free, disabled rulesets", private, map[string]string{"repos/clawft/clawft/rulesets?per_page=1": upgrade}, RepositoryNeeds{Enforcement: "disabled"}, "rulesets, because it is private"},
		{"private, free, no rulesets", private, map[string]string{"repos/clawft/clawft/rulesets?per_page=1": upgrade}, RepositoryNeeds{Enforcement: NoRulesets}, ""},
		{"private and paid", private, map[string]string{"repos/clawft/clawft/rulesets?per_page=1": "[]"}, plain, ""},
		{"private, and the token may not read rulesets", private, map[string]string{"repos/clawft/clawft/rulesets?per_page=1": "ERROR GET x: 403 Resource not accessible by personal access token []"}, plain, ""},
		{"private, and an emulator without rulesets", private, nil, plain, ""},
		{"reviewers in a team", private, map[string]string{"users/clawft": company, "orgs/clawft": plan("team")}, reviewed, "reviewers of a deployment, because it is private"},
		{"reviewers in an enterprise", private, map[string]string{"users/clawft": company, "orgs/clawft": plan("enterprise")}, reviewed, ""},
		{"reviewers, and the plan is not told", private, map[string]string{"users/clawft": company, "orgs/clawft": `{"login":"clawft"}`}, reviewed, ""},
		{"reviewers of a user", private, map[string]string{"users/clawft": user, "user": `{"login":"clawft","plan":{"name":"pro"}}`}, reviewed, "reviewers of a deployment"},
		{"reviewers of a user, asked by another", private, map[string]string{"users/clawft": user, "user": `{"login":"bot","plan":{"name":"free"}}`}, reviewed, ""},
		{"both at once", private, map[string]string{"repos/clawft/clawft/rulesets?per_page=1": upgrade, "users/clawft": company, "orgs/clawft": plan("free")}, reviewed, "or set clawft:github.enforcement to none and let people keep to the rules\n  reviewers of a deployment"},
		{"a queue of a user", repositoryAnswer(nil), map[string]string{"users/clawft": user}, RepositoryNeeds{Enforcement: "active", MergeQueue: true}, "a merge queue"},
		{"a queue of an organization", repositoryAnswer(nil), map[string]string{"users/clawft": company, "orgs/clawft": plan("free")}, RepositoryNeeds{Enforcement: "active", MergeQueue: true}, ""},
		{"a private queue of a team", private, map[string]string{"users/clawft": company, "orgs/clawft": plan("team")}, RepositoryNeeds{Enforcement: "active", MergeQueue: true}, "a merge queue"},
		{"only reporting", repositoryAnswer(nil), map[string]string{"users/clawft": company, "orgs/clawft": plan("team")}, RepositoryNeeds{Enforcement: "evaluate"}, "rulesets that only report, which need GitHub Enterprise"},
		{"answers that are no JSON", private, map[string]string{"users/clawft": "<html>", "orgs/clawft": "<html>"}, reviewed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := &recorder.Recorder{Stack: "prod", Preview: true, Functions: hubOf(test.endpoints)}
			record.Functions[getRepository] = test.answer
			err := record.Run(func(ctx *pulumi.Context) error {
				providers, err := NewProviders(ctx, &ProvidersArgs{GitHub: &GitHubProviderArgs{Owner: "clawft"}})
				if err != nil {
					return err
				}
				test.needs.Owner, test.needs.Name = "clawft", "clawft"
				return CheckRepository(ctx, providers, &test.needs)
			})
			if test.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			} else if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it does not say %q: %v", test.want, err)
			}
		})
	}
}
