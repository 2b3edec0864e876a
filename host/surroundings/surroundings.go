// Package surroundings names what a machine may have that a gateway cannot live with. It is asked when a host
// is made ready, and by every deployment before it changes anything.
package surroundings

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/clawft/infra/host/deploy"
)

const (
	// ID is the image's user and group, in its image a name of their own.
	ID = 10001
	// Reserved is the name under which they are reserved on a host.
	Reserved = "clawft-gateway"
)

// oldest is the API of Docker 20.10.
var oldest = [2]int{1, 41}

// Machine is a machine to look at.
type Machine struct {
	// Root is where its files are: / but in tests.
	Root string
	// Engine is the machine's.
	Engine interface {
		Ping(ctx context.Context) (deploy.EngineInfo, error)
	}
	// Sockets are those that the front of the gateway has.
	Sockets []string
}

// Check implements deploy.Surroundings.
func (m Machine) Check(ctx context.Context, data string) []string {
	var found []string
	found = append(found, m.ids(ctx)...)
	found = append(found, m.engine(ctx)...)
	found = append(found, m.sockets()...)
	return append(found, dataProblems(ctx, data)...)
}

func (m Machine) path(path string) string { return filepath.Join(m.Root, path) }

const rightEngine = "the gateway needs Docker 20.10 or newer, run by root, at /run/docker.sock"

func (m Machine) engine(ctx context.Context) []string {
	info, err := m.Engine.Ping(ctx)
	switch {
	case err != nil:
		return []string{fmt.Sprintf("no Docker engine answers at /run/docker.sock: start it (systemctl start docker), or let it listen there (hosts in /etc/docker/daemon.json): %v", err)}
	case info.Podman:
		return []string{"what answers at /run/docker.sock is Podman: " + rightEngine}
	}
	var found []string
	if older(info.APIVersion) {
		found = append(found, fmt.Sprintf("the Docker engine is version %s: %s", info.Version, rightEngine))
	}
	if info.Rootless {
		found = append(found, "the Docker engine runs without root (rootless mode): "+rightEngine)
	}
	return found
}

// older tells whether an API is too old. What is no version is.
func older(api string) bool {
	major, minor, _ := strings.Cut(api, ".")
	given := [2]int{}
	var err error
	for n, text := range []string{major, minor} {
		if given[n], err = strconv.Atoi(text); err != nil {
			return true
		}
	}
	return given[0] < oldest[0] || given[0] == oldest[0] && given[1] < oldest[1]
}
