package buildx

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// containerDriver is that of a builder which is made where there is none.
const containerDriver = "docker-container"

// builder is a line of `buildx ls`. There is one for each node as well.
type builder struct {
	Name, Driver string
	Current      bool
	Nodes        []struct{ Status string }
}

// ownDocker is true of the builder that is in Docker's own engine.
func (b builder) ownDocker() bool { return b.Driver == "" || b.Driver == "docker" }

func (b builder) answers() bool {
	for _, node := range b.Nodes {
		if node.Status != "running" {
			return false
		}
	}
	return len(b.Nodes) > 0
}

// Use makes a remote builder the current one, as docker/setup-buildx-action does
// with its own.
func (c *Client) Use(ctx context.Context, name, endpoint string) error {
	// With its node named, one that exists is brought up to date.
	return c.Run(ctx, "create", "--name", name, "--node", name+"0", "--driver", "remote", "--use", endpoint)
}

// Builder is the name of the builder that the docker-build plugin takes if none
// is asked for: the current one. Docker's own cannot do what the plugin wants:
// then it is the first other that answers, and without any, one that is made.
func (c *Client) Builder(ctx context.Context) (string, error) {
	output, err := c.Command(ctx, "", "ls", "--format", "{{json .}}").Output()
	if err != nil {
		return "", fmt.Errorf("getting builders: %w", err)
	}
	var others []builder
	for lines := bufio.NewScanner(bytes.NewReader(output)); lines.Scan(); {
		var found builder
		if err := json.Unmarshal(lines.Bytes(), &found); err != nil {
			return "", fmt.Errorf("reading the list of builders: %w", err)
		}
		switch {
		case found.ownDocker():
		case found.Current:
			return found.Name, nil
		default:
			others = append(others, found)
		}
	}
	for _, other := range others {
		if other.answers() {
			return other.Name, nil
		}
	}
	made, err := c.Command(ctx, "", "create", "--driver", containerDriver).Output()
	if err != nil {
		return "", fmt.Errorf("creating builder: %w", err)
	}
	name := strings.TrimSpace(string(made))
	if err := c.Run(ctx, "inspect", "--bootstrap", name); err != nil {
		return "", fmt.Errorf("booting builder: %w", err)
	}
	return name, nil
}
