package deploy

import (
	"context"

	"errors"
	"fmt"
	"net/netip"

	"strings"
	"time"

	"github.com/clawft/infra/host/release"
)

const (
	// checkInterval is how often a gateway is asked that is to become healthy.
	checkInterval = 200 * time.Millisecond
	// logLines is how many of a gateway's last lines a report has.
	logLines = 30
	// causeLength is how much of a line joins a cause, in bytes.
	causeLength = 300
)

// failed is an error with the gateway's last lines.
type failed struct {
	cause string
	log   []string
}

func (f *failed) Error() string { return f.cause }

// preflight starts the new release once, exactly as it will be, but apart from the world, where
// chats would be answered twice, and on an empty directory. The old release serves meanwhile.
func (d *deployment) preflight(ctx context.Context) error {
	d.say("preflight of %s", d.release.Version)
	d.onFailure(func(ctx context.Context) { d.note(d.clearPreflight(ctx)) })
	if err := d.tryOut(ctx); err != nil {
		var gateway *failed
		if errors.As(err, &gateway) {
			return &failed{"preflight: " + gateway.cause, gateway.log}
		}
		return fmt.Errorf("preflight: %w", err)
	}
	return d.clearPreflight(ctx)
}

func (d *deployment) tryOut(ctx context.Context) error {
	if err := d.Disk.MakeDir(d.preflightData(), 0o700, GatewayIdentity); err != nil {
		return err
	}
	staged := d.release.Staged()
	id, err := d.create(ctx, d.preflightContainer(), d.preflightData(), staged)
	if err != nil {
		return err
	}
	program, err := d.engine().Program(ctx, id)
	if err != nil {
		return fmt.Errorf("looking into the image: %w", err)
	}
	info, err := d.engine().Ping(ctx)
	if err != nil {
		return fmt.Errorf("asking the engine: %w", err)
	}
	// The platform that an image claims is only what its builder wrote.
	if program != "" && program != info.Platform {
		return fmt.Errorf("wrong architecture: the image's program is for %s, this host is %s", program, info.Platform)
	}
	address, err := d.engine().Start(ctx, id, staged.Env, nil)
	if err != nil {
		return fmt.Errorf("starting the container: %w", err)
	}
	failure := d.becomes(ctx, id, netip.AddrPortFrom(address, uint16(staged.Port)), staged, time.Duration(staged.HealthTimeout)*time.Second)
	if failure == nil {
		return nil
	}
	lines, err := d.engine().Logs(ctx, id, logLines)
	if err != nil {
		d.note(fmt.Errorf("reading the preflight's log: %w", err))
	}
	return &failed{failure.cause(lines), lines}
}

// create makes a container of a place and what it needs.
func (p place) create(ctx context.Context, name, data string, staged release.Release) (string, error) {
	// It is read by the gateway's own user.
	if err := p.Disk.Put(p.configFile(name), staged.Config, 0o644); err != nil {
		return "", err
	}
	network := p.network(name, staged.Owner.ID)
	if err := p.engine().EnsureNetwork(ctx, network); err != nil {
		return "", fmt.Errorf("making the network %s: %w", network.Name, err)
	}
	id, err := p.engine().Create(ctx, Container{
		Name: name, Network: network.Name, Gateway: p.name, Release: staged,
		Config: p.configFile(name), Data: data, KeepLog: network.Internal,
	})
	if err != nil {
		return "", fmt.Errorf("creating the container: %w", err)
	}
	return id, nil
}

// unhealthy says why a gateway did not become healthy.
type unhealthy struct {
	why string
	// ended says that the gateway ended by itself: its last line mostly says why.
	ended bool
	// engine says that the engine went away, and nothing is known of the gateway.
	engine bool
}

func (u unhealthy) cause(log []string) string {
	if !u.ended {
		return u.why
	}
	for n := len(log) - 1; n >= 0; n-- {
		if line := strings.TrimSpace(log[n]); line != "" {
			return u.why + ": " + line[:min(len(line), causeLength)]
		}
	}
	return u.why
}

// becomes waits until a started container's gateway is healthy and of its version. It returns
// as soon as it cannot be any more.
func (h *Host) becomes(ctx context.Context, id string, at netip.AddrPort, r release.Release, limit time.Duration) *unhealthy {
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ended := h.ended(waiting, id, r)
	last := errors.New("it was never asked")
	for {
		version, err := h.Health.Check(waiting, at)
		switch {
		case err == nil && version == r.Version:
			return nil
		case err == nil:
			return &unhealthy{why: fmt.Sprintf("/api/health reports version %s instead of %s", version, r.Version)}
		case waiting.Err() == nil:
			last = err
		}
		select {
		case failure := <-ended:
			return &failure
		case <-waiting.Done():
			if ctx.Err() != nil {
				return &unhealthy{why: context.Cause(ctx).Error()}
			}
			return &unhealthy{why: fmt.Sprintf("the gateway was not healthy within %v: %v", limit, last)}
		case <-time.After(checkInterval):
		}
	}
}

// ended tells how a container ends, unless the context does before.
func (h *Host) ended(ctx context.Context, id string, r release.Release) <-chan unhealthy {
	ended := make(chan unhealthy, 1)
	go func() {
		exit, err := h.Engine.Wait(ctx, id)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			ended <- unhealthy{why: fmt.Sprintf("the engine does not answer any more: %v", err), engine: true}
		case exit.OutOfMemory:
			ended <- unhealthy{why: fmt.Sprintf("the gateway ran out of its %d MiB of memory", r.MemoryMiB), ended: true}
		default:
			ended <- unhealthy{why: fmt.Sprintf("the gateway exited with code %d", exit.Code), ended: true}
		}
	}()
	return ended
}
