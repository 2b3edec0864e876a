package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (h *Hub) functions() []provider.Function {
	return []provider.Function{
		{
			Token: "github:index/getRepository:getRepository",
			Args:  github.LookupRepositoryArgs{}, Result: github.LookupRepositoryResult{},
			Call: h.getRepository,
		},
		{
			Token: "github:index/getRestApi:getRestApi",
			Args:  github.GetRestApiArgs{}, Result: github.GetRestApiResult{},
			Call: h.getRestAPI,
		},
	}
}

// getRepository returns nothing of a repository that does not exist, as the
// plugin does.
func (h *Hub) getRepository(ctx context.Context, args property.Map) (outputs property.Map, err error) {
	owner, name := callerOf(ctx).owner, text(args, "name")
	if full := text(args, "fullName"); full != "" {
		var ok bool
		if owner, name, ok = strings.Cut(full, "/"); !ok {
			return outputs, fmt.Errorf("unexpected full name format (%q), expected owner/repo_name", full)
		}
	}
	if err := refuseToken(ctx, apiPath(owner, name, "")); err != nil {
		return outputs, err
	}
	outputs = empty(github.LookupRepositoryResult{})
	err = h.view(owner, name, func(r *record) error {
		for key, value := range map[string]property.Value{
			"id": property.New(name), "name": property.New(name), "fullName": property.New(owner + "/" + name),
			"repoId": property.New(float64(r.ID)), "private": property.New(r.Private), "defaultBranch": property.New(r.DefaultBranch),
			"visibility": property.New(visibility(r.Private)),
		} {
			outputs = outputs.Set(key, value)
		}
		return nil
	})
	if missing := (*apiError)(nil); errors.As(err, &missing) && missing.status == http.StatusNotFound {
		return outputs, nil
	}
	return outputs, err
}

// empty has every property of a result, as a function has that found nothing.
func empty(result any) property.Map {
	outputs := map[string]property.Value{}
	typ := reflect.TypeOf(result)
	for i := range typ.NumField() {
		key := typ.Field(i).Tag.Get("pulumi")
		switch typ.Field(i).Type.Kind() {
		case reflect.String:
			outputs[key] = property.New("")
		case reflect.Bool:
			outputs[key] = property.New(false)
		case reflect.Int:
			outputs[key] = property.New(0.0)
		case reflect.Slice:
			outputs[key] = property.New([]property.Value{})
		default: // optional
		}
	}
	return property.NewMap(outputs)
}

func visibility(private bool) string {
	if private {
		return "private"
	}
	return "public"
}

// getRestAPI answers 404 as a result and every other refusal as an error, as the
// plugin does.
func (h *Hub) getRestAPI(ctx context.Context, args property.Map) (outputs property.Map, err error) {
	endpoint := text(args, "endpoint")
	if err := refuseToken(ctx, "/"+endpoint); err != nil {
		return outputs, err
	}
	code, status := http.StatusOK, "200 OK"
	answer, err := h.get(endpoint)
	if missing := (*apiError)(nil); errors.As(err, &missing) && missing.status == http.StatusNotFound {
		code, status, answer, err = http.StatusNotFound, "404 Not Found", map[string]string{"message": "Not Found"}, nil
	}
	if err != nil {
		return outputs, err
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return outputs, fmt.Errorf("encoding the answer of %s: %w", endpoint, err)
	}
	return property.NewMap(map[string]property.Value{
		"id": property.New("lab"), "endpoint": property.New(endpoint), "headers": property.New("{}"),
		"code": property.New(float64(code)), "status": property.New(status), "body": property.New(string(body)),
	}), nil
}

// get is what the API has at an endpoint.
func (h *Hub) get(endpoint string) (answer any, err error) {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("parsing the endpoint %s: %w", endpoint, err)
	}
	parts := strings.Split(parsed.Path, "/")
	if len(parts) < 3 || parts[0] != "repos" {
		return nil, &apiError{"GET", "/" + endpoint, http.StatusNotFound, "Not Found"}
	}
	owner, name, rest := parts[1], parts[2], parts[3:]
	err = h.view(owner, name, func(r *record) error {
		if answer, err = h.look(r, owner, name, rest, parsed.Query()); err != nil {
			return err
		}
		if answer == nil {
			return notFound("GET", owner, name, "/"+strings.Join(rest, "/"))
		}
		return nil
	})
	return answer, err
}

// look returns nil for what is not there.
func (h *Hub) look(r *record, owner, name string, path []string, query url.Values) (any, error) {
	type object = map[string]any
	switch {
	case len(path) > 1 && path[0] == "contents":
		found, err := gitDir(h.GitDir(owner, name)).file(first(query.Get("ref"), r.DefaultBranch), strings.Join(path[1:], "/"))
		if err != nil || found == nil {
			return nil, err
		}
		return object{"type": "file", "sha": found.sha}, nil
	case len(path) == 1 && path[0] == "rulesets":
		if err := r.offersRulesets("GET", owner, name); err != nil {
			return nil, err
		}
		list := []object{}
		for number, found := range r.Rulesets {
			list = append(list, object{"id": number, "name": found.Name})
		}
		return list, nil
	case len(path) == 3 && path[0] == "actions" && path[1] == "variables" && r.Variables[path[2]] != nil:
		return object{"name": path[2]}, nil
	case len(path) > 1 && path[0] == "environments" && r.Environments[path[1]] != nil:
		in := r.Environments[path[1]]
		switch {
		case len(path) == 2:
			return object{"name": path[1]}, nil
		case len(path) == 4 && path[2] == "secrets" && in.Secrets[path[3]] != nil:
			return object{"name": path[3]}, nil
		case len(path) == 3 && path[2] == "deployment-branch-policies":
			list := []object{}
			for number, found := range in.Policies {
				if found.Tag != "" {
					list = append(list, object{"id": number, "name": found.Tag, "type": "tag"})
				} else {
					list = append(list, object{"id": number, "name": found.Branch, "type": "branch"})
				}
			}
			return object{"branch_policies": list}, nil
		}
	}
	return nil, nil
}

// offersRulesets refuses what a private repository has with a paid plan only.
func (r *record) offersRulesets(method, owner, name string) error {
	if !r.Private {
		return nil
	}
	return &apiError{method, apiPath(owner, name, "/rulesets"), http.StatusForbidden, "Upgrade to GitHub Pro or make this repository public to enable this feature."}
}

// wrongToken is one that nobody has.
const wrongToken = "wrong"

func refuseToken(ctx context.Context, path string) error {
	if tokenOf(provider.Config(ctx)) == wrongToken {
		return &apiError{"GET", path, http.StatusUnauthorized, "Bad credentials"}
	}
	return nil
}
