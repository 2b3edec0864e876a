package github

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// caller is who a request is by.
type caller struct {
	owner string
	// Kind and id are as in a ruleset's bypass actors.
	kind string
	id   int
}

func (c caller) String() string { return fmt.Sprintf("%s %d", c.kind, c.id) }

// adminRole is the ID of the repository role that a token's user has.
const adminRole = 5

func configure(_ context.Context, config property.Map) error {
	if first(text(config, "owner"), os.Getenv("GITHUB_OWNER")) == "" {
		return errors.New("no owner: set the provider's owner or GITHUB_OWNER")
	}
	if app := config.Get("appAuth"); app.IsMap() {
		if _, err := strconv.Atoi(text(app.AsMap(), "id")); err != nil {
			return fmt.Errorf("appAuth.id is %q: give the number of a GitHub App", text(app.AsMap(), "id"))
		}
		return nil
	}
	if tokenOf(config) == "" {
		return errors.New("no credentials: set github:token or GITHUB_TOKEN, or configure appAuth")
	}
	return nil
}

func tokenOf(config property.Map) string {
	return first(text(config, "token"), os.Getenv("GITHUB_TOKEN"))
}

func callerOf(ctx context.Context) caller {
	config := provider.Config(ctx)
	c := caller{owner: first(text(config, "owner"), os.Getenv("GITHUB_OWNER")), kind: "RepositoryRole", id: adminRole}
	if app := config.Get("appAuth"); app.IsMap() {
		c.kind = "Integration"
		c.id, _ = strconv.Atoi(text(app.AsMap(), "id")) // checked by configure
	}
	return c
}

// text is a string property, or "" if it is not there.
func text(m property.Map, name string) string {
	if value := m.Get(name); value.IsString() {
		return value.AsString()
	}
	return ""
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
