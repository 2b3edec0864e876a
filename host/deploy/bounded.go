package deploy

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"
)

// engineTimeout ends a call of an engine that hangs. Stopping a gateway takes 15 s by itself.
const engineTimeout = time.Minute

var errEngineHangs = errors.New("the engine does not answer within a minute")

// bounded is an engine whose calls end, but for those that take their time.
type bounded struct{ Engine }

func (h *Host) engine() Engine { return bounded{h.Engine} }

func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, engineTimeout, errEngineHangs)
}

func (e bounded) Ping(ctx context.Context) (EngineInfo, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Ping(ctx)
}

func (e bounded) Image(ctx context.Context, image string) (Image, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Image(ctx, image)
}

func (e bounded) RemoveImage(ctx context.Context, image string) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.RemoveImage(ctx, image)
}

func (e bounded) EnsureNetwork(ctx context.Context, n Network) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.EnsureNetwork(ctx, n)
}

func (e bounded) RemoveNetwork(ctx context.Context, name, gateway string) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.RemoveNetwork(ctx, name, gateway)
}

func (e bounded) Create(ctx context.Context, c Container) (string, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Create(ctx, c)
}

func (e bounded) Program(ctx context.Context, id string) (string, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Program(ctx, id)
}

func (e bounded) Start(ctx context.Context, id string, env map[string]string, output io.Writer) (netip.Addr, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Start(ctx, id, env, output)
}

func (e bounded) Stop(ctx context.Context, id string) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Stop(ctx, id)
}

func (e bounded) Remove(ctx context.Context, id string) error {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Remove(ctx, id)
}

func (e bounded) Containers(ctx context.Context, gateway string) ([]ContainerInfo, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Containers(ctx, gateway)
}

func (e bounded) Logs(ctx context.Context, id string, lines int) ([]string, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return e.Engine.Logs(ctx, id, lines)
}

var _ Engine = bounded{}
