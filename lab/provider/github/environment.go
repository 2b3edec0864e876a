package github

import (
	"context"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (h *Hub) environmentResource() provider.Resource {
	return provider.Resource{
		Token:   "github:index/repositoryEnvironment:RepositoryEnvironment",
		Args:    github.RepositoryEnvironmentArgs{},
		State:   &github.RepositoryEnvironment{},
		Replace: []string{"repository", "environment"},
		Check:   checkEnvironment,
		Create: func(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
			outputs, err := h.putEnvironment(ctx, r.Inputs)
			if err != nil {
				return "", outputs, err
			}
			return text(r.Inputs, "repository") + ":" + escape(text(r.Inputs, "environment")), outputs, nil
		},
		Read: h.readEnvironment,
		Update: func(ctx context.Context, r provider.UpdateRequest) (property.Map, error) {
			return h.putEnvironment(ctx, r.Inputs)
		},
		Delete: h.deleteEnvironment,
	}
}

// mostReviewers of an environment is GitHub's limit.
const mostReviewers = 6

func checkEnvironment(_ context.Context, inputs property.Map) []p.CheckFailure {
	if property.New(inputs).HasComputed() {
		return nil
	}
	var given struct {
		Reviewers []github.RepositoryEnvironmentReviewer              `pulumi:"reviewers"`
		Branches  *github.RepositoryEnvironmentDeploymentBranchPolicy `pulumi:"deploymentBranchPolicy"`
	}
	if err := provider.Decode(inputs, &given); err != nil {
		return []p.CheckFailure{{Property: "reviewers", Reason: err.Error()}}
	}
	var failures []p.CheckFailure
	if len(given.Reviewers) > 1 {
		failures = append(failures, p.CheckFailure{Property: "reviewers", Reason: "no more than 1 block of reviewers is allowed; list users and teams in it"})
	}
	for _, reviewers := range given.Reviewers {
		if count := len(reviewers.Users) + len(reviewers.Teams); count > mostReviewers {
			failures = append(failures, p.CheckFailure{Property: "reviewers", Reason: fmt.Sprintf("a maximum of %d reviewers (users and teams combined) can be set for an environment, not %d", mostReviewers, count)})
		}
	}
	if given.Branches != nil && given.Branches.ProtectedBranches == given.Branches.CustomBranchPolicies {
		failures = append(failures, p.CheckFailure{Property: "deploymentBranchPolicy", Reason: "protectedBranches and customBranchPolicies cannot have the same value"})
	}
	return failures
}

// putEnvironment creates an environment or changes it; GitHub does not tell them apart.
func (h *Hub) putEnvironment(ctx context.Context, inputs property.Map) (outputs property.Map, err error) {
	err = h.change(callerOf(ctx).owner, text(inputs, "repository"), func(recorded *record) error {
		name := text(inputs, "environment")
		if recorded.Private && !inputs.Get("reviewers").IsNull() {
			return &apiError{"PUT", apiPath(callerOf(ctx).owner, text(inputs, "repository"), "/environments/"+name), 422,
				"Failed to create the environment protection rule. Please ensure the billing plan supports the required reviewers protection rule."}
		}
		if recorded.Environments[name] == nil {
			recorded.Environments[name] = &environment{Policies: map[int]*policy{}, Secrets: map[string]*secret{}}
		}
		recorded.Environments[name].Inputs = jsonOf(inputs)
		outputs = recorded.repositoryID()
		return nil
	})
	return outputs, err
}

func (h *Hub) readEnvironment(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	repository, name, ok := strings.Cut(r.ID, ":")
	if !ok {
		return inputs, outputs, false, fmt.Errorf("invalid id (%s), expected format <repository>:<environment>", r.ID)
	}
	err = h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		if now := recorded.Environments[unescape(name)]; now != nil {
			found = true
			inputs, outputs = mapOf(now.Inputs), recorded.repositoryID()
		}
		return nil
	})
	return inputs, outputs, found, err
}

func (h *Hub) deleteEnvironment(ctx context.Context, r provider.DeleteRequest) error {
	return h.change(callerOf(ctx).owner, text(r.State, "repository"), func(recorded *record) error {
		delete(recorded.Environments, text(r.State, "environment"))
		return nil
	})
}

// inEnvironment calls change with the environment that a request is about.
func (h *Hub) inEnvironment(ctx context.Context, repository, name string, change func(*record, *environment) error) error {
	owner := callerOf(ctx).owner
	return h.change(owner, repository, func(recorded *record) error {
		found := recorded.Environments[name]
		if found == nil {
			return notFound("GET", owner, repository, "/environments/"+name)
		}
		return change(recorded, found)
	})
}

func (r *record) repositoryID() property.Map {
	return property.NewMap(map[string]property.Value{"repositoryId": property.New(float64(r.ID))})
}
