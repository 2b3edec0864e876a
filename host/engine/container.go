package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/launch"
)

// Create is part of [deploy.Engine].
func (e *Engine) Create(ctx context.Context, c deploy.Container) (string, error) {
	doing := "creating container " + c.Name
	options, err := e.spec(c)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	created, err := e.client.ContainerCreate(ctx, options)
	if err == nil {
		return created.ID, nil
	}
	if errdefs.IsConflict(err) {
		if taken := e.taken(ctx, c); taken != nil {
			return "", fmt.Errorf("%s: %w", doing, taken)
		}
	}
	if errdefs.IsNotFound(err) {
		return "", fmt.Errorf("%s: %w: %w", doing, deploy.ErrNotFound, e.failed("the engine", err))
	}
	return "", e.failed(doing, err)
}

// taken says who has a container's name, or returns nil if nobody has.
func (e *Engine) taken(ctx context.Context, c deploy.Container) error {
	found, err := e.client.ContainerInspect(ctx, c.Name, client.ContainerInspectOptions{})
	has := found.Container.Config
	if err != nil || has == nil {
		return nil //nolint:nilerr // what the engine said to the creation says more
	}
	if has.Labels[labelGateway] == c.Gateway {
		return fmt.Errorf("container %.12s has the name: %w", found.Container.ID, deploy.ErrExists)
	}
	return fmt.Errorf("a container has the name and %w (image %s, label %s: %q): rename it, as with: docker rename %s OTHER",
		deploy.ErrForeign, has.Image, labelGateway, has.Labels[labelGateway], c.Name)
}

// Start is part of [deploy.Engine]. The address is none if the container has ended already: Wait says how.
func (e *Engine) Start(ctx context.Context, id string, env map[string]string, output io.Writer) (netip.Addr, error) {
	doing := fmt.Sprintf("starting container %.12s", id)
	stdin, err := launch.Encode(env)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s: %w", doing, err)
	}
	// Before the start: nothing that the container writes is lost, and nobody else is first at its input.
	attached, err := e.client.ContainerAttach(ctx, id, client.ContainerAttachOptions{
		Stream: true, Stdin: true, Stdout: output != nil, Stderr: output != nil,
	})
	if err != nil {
		return netip.Addr{}, e.failed(doing, err)
	}
	go func() {
		// Who does not get all of it, notices by the missing end and does not start.
		if _, err := attached.Conn.Write(stdin); err == nil {
			attached.CloseWrite() //nolint:errcheck // as above
		}
	}()
	e.follow(id, attached.HijackedResponse, output)

	if _, err := e.client.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		attached.Close()
		return netip.Addr{}, e.failed(doing, err)
	}
	found, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return netip.Addr{}, e.failed(doing, err)
	}
	return address(found.Container), nil
}

// address returns the container's in its one network.
func address(c container.InspectResponse) netip.Addr {
	if c.NetworkSettings != nil {
		for _, endpoint := range c.NetworkSettings.Networks {
			if endpoint.IPAddress.IsValid() {
				return endpoint.IPAddress
			}
		}
	}
	return netip.Addr{}
}

// follow hands on what a container writes until it ends. The connection is open for as long.
func (e *Engine) follow(id string, attached client.HijackedResponse, output io.Writer) {
	done := make(chan struct{})
	e.lock.Lock()
	e.outputs[id] = done
	e.lock.Unlock()
	go func() {
		defer close(done)
		defer attached.Close()
		if output == nil {
			// The engine ends the connection with the container.
			io.Copy(io.Discard, attached.Reader) //nolint:errcheck // nothing is expected
			return
		}
		to := patient{output}
		if _, err := stdcopy.StdCopy(to, to, attached.Reader); err != nil {
			io.Copy(io.Discard, attached.Reader) //nolint:errcheck // the container must not wait for a reader
		}
	}()
}

// patient is a writer without errors: a container whose output nobody takes would stand still.
type patient struct{ io.Writer }

func (p patient) Write(data []byte) (int, error) {
	p.Writer.Write(data) //nolint:errcheck // see above
	return len(data), nil
}

// Wait is part of [deploy.Engine].
func (e *Engine) Wait(ctx context.Context, id string) (deploy.Exit, error) {
	doing := fmt.Sprintf("waiting for container %.12s", id)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := e.client.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	var ended container.WaitResponse
	select {
	case ended = <-waiting.Result:
	case err := <-waiting.Error:
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return deploy.Exit{}, e.failed(doing, err)
	}
	if ended.Error != nil && ended.Error.Message != "" {
		return deploy.Exit{}, e.failed(doing, errors.New(ended.Error.Message))
	}
	exit := deploy.Exit{Code: int(ended.StatusCode)}
	e.written(ctx, id)
	found, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return exit, e.failed(doing, err)
	}
	if found.Container.State != nil {
		exit.OutOfMemory = found.Container.State.OOMKilled
	}
	return exit, nil
}

// written waits until a container's output is handed on. Something that the container left behind may hold
// the output open, or the engine may have lost the connection's end: a few seconds are enough.
func (e *Engine) written(ctx context.Context, id string) {
	e.lock.Lock()
	done := e.outputs[id]
	delete(e.outputs, id)
	e.lock.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
	}
}

// Stop is part of [deploy.Engine].
func (e *Engine) Stop(ctx context.Context, id string) error {
	// Signal and patience are the container's own.
	_, err := e.client.ContainerStop(ctx, id, client.ContainerStopOptions{})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return e.failed(fmt.Sprintf("stopping container %.12s", id), err)
}

// Remove is part of [deploy.Engine].
func (e *Engine) Remove(ctx context.Context, id string) error {
	doing := fmt.Sprintf("removing container %.12s", id)
	for {
		_, err := e.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		// Somebody else removes it just now.
		if !errdefs.IsConflict(err) {
			return e.failed(doing, err)
		}
		select {
		case <-ctx.Done():
			return e.failed(doing, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Containers is part of [deploy.Engine].
func (e *Engine) Containers(ctx context.Context, gateway string) ([]deploy.ContainerInfo, error) {
	list, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, e.failed("listing the containers", err)
	}
	names := []string{"clawft-" + gateway, "clawft-" + gateway + "-preflight"}
	var found []deploy.ContainerInfo
	for _, c := range list.Items {
		name := nameOf(c.Names)
		if c.Labels[labelGateway] != gateway && !slices.Contains(names, name) {
			continue
		}
		running := c.State == container.StateRunning || c.State == container.StatePaused || c.State == container.StateRestarting
		found = append(found, deploy.ContainerInfo{
			ID: c.ID, Name: name, Image: c.Image, Owner: c.Labels[labelOwner], Gateway: c.Labels[labelGateway], Running: running,
		})
	}
	return found, nil
}

// nameOf picks a container's own name among those that links give it (/other/alias).
func nameOf(names []string) string {
	for _, name := range names {
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

// Logs is part of [deploy.Engine].
func (e *Engine) Logs(ctx context.Context, id string, lines int) ([]string, error) {
	doing := fmt.Sprintf("reading the output of container %.12s", id)
	stream, err := e.client.ContainerLogs(ctx, id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lines),
	})
	if err != nil {
		return nil, e.failed(doing, err)
	}
	defer stream.Close()
	var text strings.Builder
	if _, err := stdcopy.StdCopy(&text, &text, stream); err != nil {
		return nil, e.failed(doing, err)
	}
	if text.Len() == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n"), nil
}
