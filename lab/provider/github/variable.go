package github

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (h *Hub) variableResource() provider.Resource {
	return provider.Resource{
		Token:    "github:index/actionsVariable:ActionsVariable",
		Args:     github.ActionsVariableArgs{},
		State:    &github.ActionsVariable{},
		Replace:  []string{"repository", "variableName"},
		Volatile: []string{"updatedAt"},
		Check: func(_ context.Context, inputs property.Map) []p.CheckFailure {
			return checkActionsName(inputs, "variableName")
		},
		Create: h.createVariable,
		Read:   h.readVariable,
		Update: h.updateVariable,
		Delete: h.deleteVariable,
	}
}

func (h *Hub) createVariable(ctx context.Context, r provider.CreateRequest) (id string, outputs property.Map, err error) {
	repository, name := text(r.Inputs, "repository"), text(r.Inputs, "variableName")
	owner := callerOf(ctx).owner
	err = h.change(owner, repository, func(recorded *record) error {
		if recorded.Variables[name] != nil {
			return &apiError{"POST", apiPath(owner, repository, "/actions/variables"), 409, "Already exists - Variable already exists"}
		}
		now := time.Now().UTC()
		recorded.Variables[name] = &variable{Value: text(r.Inputs, "value"), CreatedAt: now, UpdatedAt: now}
		id, outputs = repository+":"+name, recorded.Variables[name].outputs(recorded)
		return nil
	})
	return id, outputs, err
}

func (h *Hub) updateVariable(ctx context.Context, r provider.UpdateRequest) (outputs property.Map, err error) {
	owner, repository, name := callerOf(ctx).owner, text(r.Inputs, "repository"), text(r.Inputs, "variableName")
	err = h.change(owner, repository, func(recorded *record) error {
		now := recorded.Variables[name]
		if now == nil {
			return notFound("PATCH", owner, repository, "/actions/variables/"+name)
		}
		now.Value, now.UpdatedAt = text(r.Inputs, "value"), time.Now().UTC()
		outputs = now.outputs(recorded)
		return nil
	})
	return outputs, err
}

func (h *Hub) readVariable(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	repository, name, ok := strings.Cut(r.ID, ":")
	if !ok {
		return inputs, outputs, false, fmt.Errorf("invalid ID %q: give <repository>:<name of the variable>", r.ID)
	}
	err = h.view(callerOf(ctx).owner, repository, func(recorded *record) error {
		if now := recorded.Variables[name]; now != nil {
			found = true
			inputs = property.NewMap(map[string]property.Value{
				"repository":   property.New(repository),
				"variableName": property.New(name),
				"value":        property.New(now.Value),
			})
			outputs = now.outputs(recorded)
		}
		return nil
	})
	return inputs, outputs, found, err
}

func (h *Hub) deleteVariable(ctx context.Context, r provider.DeleteRequest) error {
	return h.change(callerOf(ctx).owner, text(r.State, "repository"), func(recorded *record) error {
		delete(recorded.Variables, text(r.State, "variableName"))
		return nil
	})
}

func (v *variable) outputs(recorded *record) property.Map {
	return recorded.repositoryID().
		Set("createdAt", property.New(v.CreatedAt.Format(time.RFC3339))).
		Set("updatedAt", property.New(v.UpdatedAt.Format(time.RFC3339)))
}
