package github

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (h *Hub) secretResource() provider.Resource {
	return provider.Resource{
		Token:    "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret",
		Args:     github.ActionsEnvironmentSecretArgs{},
		State:    &github.ActionsEnvironmentSecret{},
		Replace:  []string{"repository", "environment", "secretName"},
		Secret:   []string{"value", "valueEncrypted", "plaintextValue", "encryptedValue"},
		Volatile: []string{"updatedAt", "remoteUpdatedAt"},
		Check:    checkSecret,
		Diff:     diffSecret,
		Create: func(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
			outputs, err := h.putSecret(ctx, r.Inputs)
			if err != nil {
				return "", outputs, err
			}
			id := strings.Join([]string{text(r.Inputs, "repository"), escape(text(r.Inputs, "environment")), text(r.Inputs, "secretName")}, ":")
			return id, outputs, nil
		},
		Read: h.readSecret,
		Update: func(ctx context.Context, r provider.UpdateRequest) (property.Map, error) {
			return h.putSecret(ctx, r.Inputs)
		},
		Delete: h.deleteSecret,
	}
}

// mostSecret is how many bytes a secret may have.
const mostSecret = 48 * 1024

var actionsName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkSecret(_ context.Context, inputs property.Map) []p.CheckFailure {
	failures := checkActionsName(inputs, "secretName")
	given := 0
	for _, form := range []string{"value", "valueEncrypted", "plaintextValue", "encryptedValue"} {
		if value := inputs.Get(form); !value.IsNull() {
			given++
			if value.IsString() && len(value.AsString()) > mostSecret {
				failures = append(failures, p.CheckFailure{Property: form, Reason: fmt.Sprintf("secrets have at most %d bytes", mostSecret)})
			}
		}
	}
	if given != 1 {
		failures = append(failures, p.CheckFailure{Property: "value", Reason: "exactly one of value, valueEncrypted, encryptedValue and plaintextValue must be given"})
	}
	return failures
}

func checkActionsName(inputs property.Map, key string) []p.CheckFailure {
	name := text(inputs, key)
	switch {
	case inputs.Get(key).IsComputed():
	case !actionsName.MatchString(name):
		return []p.CheckFailure{{Property: key, Reason: fmt.Sprintf("%q can only contain alphanumeric characters or underscores and must not start with a number", name)}}
	case strings.HasPrefix(strings.ToUpper(name), "GITHUB_"):
		return []p.CheckFailure{{Property: key, Reason: fmt.Sprintf("%q must not start with the GITHUB_ prefix", name)}}
	}
	return nil
}

// diffSecret also notices that somebody else has set the secret.
func diffSecret(_ context.Context, r p.DiffRequest, base p.DiffResponse) p.DiffResponse {
	if was, now := text(r.State, "updatedAt"), text(r.State, "remoteUpdatedAt"); was != now {
		base.HasChanges = true
		base.DetailedDiff["remoteUpdatedAt"] = p.PropertyDiff{Kind: p.Update}
	}
	return base
}

func (h *Hub) putSecret(ctx context.Context, inputs property.Map) (outputs property.Map, err error) {
	err = h.inEnvironment(ctx, text(inputs, "repository"), text(inputs, "environment"), func(recorded *record, in *environment) error {
		name, now := text(inputs, "secretName"), time.Now().UTC()
		if in.Secrets[name] == nil {
			in.Secrets[name] = &secret{CreatedAt: now}
		}
		in.Secrets[name].UpdatedAt = now
		outputs = in.Secrets[name].outputs(recorded, now.Format(time.RFC3339Nano))
		return nil
	})
	return outputs, err
}

func (h *Hub) readSecret(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	parts := strings.Split(r.ID, ":")
	if len(parts) != 3 {
		return inputs, outputs, false, fmt.Errorf("invalid ID %q: give <repository>:<environment>:<name of the secret>", r.ID)
	}
	err = h.view(callerOf(ctx).owner, parts[0], func(recorded *record) error {
		in := recorded.Environments[unescape(parts[1])]
		if in == nil || in.Secrets[parts[2]] == nil {
			return nil
		}
		found = true
		now := in.Secrets[parts[2]]
		inputs = r.Inputs
		if inputs.Len() == 0 {
			inputs = property.NewMap(map[string]property.Value{
				"repository":  property.New(parts[0]),
				"environment": property.New(unescape(parts[1])),
				"secretName":  property.New(parts[2]),
			})
		}
		outputs = now.outputs(recorded, first(text(r.State, "updatedAt"), now.UpdatedAt.Format(time.RFC3339Nano)))
		return nil
	})
	return inputs, outputs, found, err
}

func (h *Hub) deleteSecret(ctx context.Context, r provider.DeleteRequest) error {
	return h.change(callerOf(ctx).owner, text(r.State, "repository"), func(recorded *record) error {
		if in := recorded.Environments[text(r.State, "environment")]; in != nil {
			delete(in.Secrets, text(r.State, "secretName"))
		}
		return nil
	})
}

// outputs tell when the stack last set the secret, and when anybody did.
func (s *secret) outputs(recorded *record, updatedAt string) property.Map {
	m := recorded.repositoryID()
	for name, value := range map[string]string{
		"keyId":           fmt.Sprint(recorded.ID),
		"createdAt":       s.CreatedAt.Format(time.RFC3339Nano),
		"updatedAt":       updatedAt,
		"remoteUpdatedAt": s.UpdatedAt.Format(time.RFC3339Nano),
	} {
		m = m.Set(name, property.New(value))
	}
	return m
}
