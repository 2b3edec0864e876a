package github

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (h *Hub) policyResource() provider.Resource {
	return provider.Resource{
		Token:   "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy",
		Args:    github.RepositoryEnvironmentDeploymentPolicyArgs{},
		State:   &github.RepositoryEnvironmentDeploymentPolicy{},
		Replace: []string{"repository", "environment"},
		Check:   checkPolicy,
		Create:  h.createPolicy,
		Read:    h.readPolicy,
		Update:  h.updatePolicy,
		Delete:  h.deletePolicy,
	}
}

func checkPolicy(_ context.Context, inputs property.Map) []p.CheckFailure {
	if inputs.Get("branchPattern").IsNull() == inputs.Get("tagPattern").IsNull() {
		return []p.CheckFailure{{Property: "tagPattern", Reason: "exactly one of branchPattern and tagPattern must be given"}}
	}
	return nil
}

func policyOf(inputs property.Map) *policy {
	return &policy{Branch: text(inputs, "branchPattern"), Tag: text(inputs, "tagPattern")}
}

func (h *Hub) createPolicy(ctx context.Context, r provider.CreateRequest) (id string, outputs property.Map, err error) {
	repository, name := text(r.Inputs, "repository"), text(r.Inputs, "environment")
	err = h.inEnvironment(ctx, repository, name, func(recorded *record, in *environment) error {
		wanted := policyOf(r.Inputs)
		for _, other := range in.Policies {
			if *other == *wanted {
				return &apiError{"POST", apiPath(callerOf(ctx).owner, repository, "/environments/"+name+"/deployment-branch-policies"), 409, "Deployment policy with this pattern already exists"}
			}
		}
		number := recorded.nextID()
		in.Policies[number] = wanted
		id = fmt.Sprintf("%s:%s:%d", repository, escape(name), number)
		outputs = recorded.repositoryID().Set("policyId", property.New(float64(number)))
		return nil
	})
	return id, outputs, err
}

func (h *Hub) updatePolicy(ctx context.Context, r provider.UpdateRequest) (outputs property.Map, err error) {
	repository, name, number, err := parsePolicyID(r.ID)
	if err != nil {
		return outputs, err
	}
	err = h.inEnvironment(ctx, repository, name, func(recorded *record, in *environment) error {
		if in.Policies[number] == nil {
			return notFound("PUT", callerOf(ctx).owner, repository, fmt.Sprintf("/environments/%s/deployment-branch-policies/%d", name, number))
		}
		in.Policies[number] = policyOf(r.Inputs)
		outputs = recorded.repositoryID().Set("policyId", property.New(float64(number)))
		return nil
	})
	return outputs, err
}

func (h *Hub) readPolicy(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	repository, name, number, err := parsePolicyID(r.ID)
	if err != nil {
		return inputs, outputs, false, err
	}
	err = h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		in := recorded.Environments[name]
		if in == nil || in.Policies[number] == nil {
			return nil
		}
		found = true
		inputs = property.NewMap(map[string]property.Value{
			"repository": property.New(repository), "environment": property.New(name),
		})
		if now := in.Policies[number]; now.Branch != "" {
			inputs = inputs.Set("branchPattern", property.New(now.Branch))
		} else {
			inputs = inputs.Set("tagPattern", property.New(now.Tag))
		}
		outputs = recorded.repositoryID().Set("policyId", property.New(float64(number)))
		return nil
	})
	return inputs, outputs, found, err
}

func (h *Hub) deletePolicy(ctx context.Context, r provider.DeleteRequest) error {
	repository, name, number, err := parsePolicyID(r.ID)
	if err != nil {
		return err
	}
	return h.change(callerOf(ctx).owner, repository, func(recorded *record) error {
		if in := recorded.Environments[name]; in != nil {
			delete(in.Policies, number)
		}
		return nil
	})
}

func parsePolicyID(id string) (repository, environment string, number int, err error) {
	parts := strings.Split(id, ":")
	if len(parts) == 3 {
		number, err = strconv.Atoi(parts[2])
	}
	if len(parts) != 3 || err != nil {
		return "", "", 0, fmt.Errorf("invalid ID %q: give <repository>:<environment>:<number of the policy>", id)
	}
	return parts[0], unescape(parts[1]), number, nil
}
