package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/clawft/infra/host/deploy"
)

// Socket is where the engine listens.
const Socket = "/run/docker.sock"

// Engine is the Docker engine of a host.
type Engine struct {
	socket string
	client *client.Client
	// launcher is this program on the host.
	launcher string

	lock sync.Mutex
	// outputs are those of started containers, by ID. Each is closed when all of it is written.
	outputs map[string]chan struct{}
}

var _ deploy.Engine = (*Engine)(nil)

// New returns the engine that listens at a socket. It does not ask it anything yet. The launcher is the path of
// this program, a static one, on the host: it hands a gateway its environment in the container.
func New(socket, launcher string) (*Engine, error) {
	c, err := client.New(client.WithHost("unix://" + socket))
	if err != nil {
		return nil, fmt.Errorf("making a client for the Docker engine at %s: %w", socket, err)
	}
	return &Engine{socket: socket, client: c, launcher: launcher, outputs: map[string]chan struct{}{}}, nil
}

// Close closes the connections.
func (e *Engine) Close() error { return e.client.Close() }

// Ping is part of [deploy.Engine]. Of an engine that is too old to be asked more, it says the API's version only.
func (e *Engine) Ping(ctx context.Context) (deploy.EngineInfo, error) {
	ping, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if errdefs.IsInvalidArgument(err) && ping.APIVersion != "" {
		return deploy.EngineInfo{APIVersion: ping.APIVersion}, nil
	}
	if err != nil {
		return deploy.EngineInfo{}, e.failed("asking the Docker engine", err)
	}
	version, err := e.client.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return deploy.EngineInfo{}, e.failed("asking the Docker engine for its version", err)
	}
	info, err := e.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return deploy.EngineInfo{}, e.failed("asking the Docker engine how it runs", err)
	}
	found := deploy.EngineInfo{Version: version.Version, APIVersion: version.APIVersion, Platform: version.Os + "/" + version.Arch}
	for _, component := range version.Components {
		found.Podman = found.Podman || component.Name == "Podman Engine"
	}
	for _, option := range info.Info.SecurityOptions {
		name, _, _ := strings.Cut(option, ",")
		found.Rootless = found.Rootless || name == "name=rootless"
	}
	return found, nil
}

// engineError is what the engine said, without what its client puts around it.
type engineError struct {
	text  string
	cause error
}

func (e engineError) Error() string { return e.text }
func (e engineError) Unwrap() error { return e.cause }

// failed says what was tried and what the engine said to it.
func (e *Engine) failed(doing string, err error) error {
	var text string
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		text = "no answer in time"
	case client.IsErrConnectionFailed(err):
		return fmt.Errorf("%s: %w", doing, engineError{
			fmt.Sprintf("no Docker engine answers at %s: start it (systemctl start docker)", e.socket), err,
		})
	default:
		text = said(err)
	}
	return fmt.Errorf("%s: %w", doing, engineError{text, err})
}

// said returns the engine's own words.
func said(err error) string {
	return strings.TrimSpace(strings.TrimPrefix(err.Error(), "Error response from daemon: "))
}
