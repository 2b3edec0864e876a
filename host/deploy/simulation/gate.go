package simulation

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"time"
)

var errNoProxy = errors.New("dial unix /run/clawft/proxy/control.sock: connection refused")

// gate is the proxy.
type gate struct {
	world  *World
	routes map[string]string
	holds  map[string]*Process
	dead   bool
	// busy is how many requests never finish; deaf has the proxy know no routes.
	busy int
	deaf bool
}

// leave ends the leases of a process that is no more.
func (g *gate) leave(p *Process) {
	maps.DeleteFunc(g.holds, func(_ string, by *Process) bool { return by == p })
}

// die ends the proxy; what it held is not held any more.
func (g *gate) die() { g.dead, g.holds = true, map[string]*Process{} }

// gatePort is a process's way to the proxy.
type gatePort struct {
	*Process
	gate *gate
}

func (g gatePort) ask(label string, do func()) error {
	return g.do(label, true, func() error {
		if g.gate.dead {
			return errNoProxy
		}
		do()
		return nil
	})
}

func (g gatePort) Hold(ctx context.Context, gateway string, _ time.Duration) (int, error) {
	if err := g.ask("hold "+gateway, func() { g.gate.holds[gateway] = g.Process }); err != nil {
		return 0, err
	}
	return g.gate.busy, g.takes(ctx, 100*time.Millisecond)
}

func (g gatePort) Release(_ context.Context, gateway string) error {
	return g.ask("release "+gateway, func() { delete(g.gate.holds, gateway) })
}

func (g gatePort) Route(_ context.Context, gateway string, upstream netip.AddrPort) error {
	err := g.ask("route "+gateway, func() { g.gate.routes[gateway] = upstream.String() })
	if g.gate.deaf {
		return errNoProxy
	}
	return err
}

func (g gatePort) Close(_ context.Context, gateway string) error {
	return g.ask("close "+gateway, func() { delete(g.gate.routes, gateway) })
}
