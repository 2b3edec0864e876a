package proxy

import (
	"sync"
	"sync/atomic"
	"time"
)

// front is all gateways of a process, and the doors that lead to them.
type front struct {
	doors *doors
	// patience is how long a request waits for a gateway that is not there and not held.
	patience time.Duration
	retiring atomic.Bool

	mu       sync.Mutex
	gateways map[string]*gateway
}

// fronts is this process's. There is one because Caddy, which makes handlers and listeners from
// a document, is one per process, too.
var fronts = &front{doors: newDoors(), patience: 30 * time.Second, gateways: map[string]*gateway{}}

// gateway is known from its first mention on.
func (f *front) gateway(name string) *gateway {
	f.mu.Lock()
	defer f.mu.Unlock()
	g, ok := f.gateways[name]
	if !ok {
		g = newGateway(name, f.patience)
		f.gateways[name] = g
	}
	return g
}

// remove closes a gateway. One that comes later under its name is another.
func (f *front) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g, ok := f.gateways[name]; ok {
		g.close()
		delete(f.gateways, name)
	}
}

// all is a copy.
func (f *front) all() map[string]*gateway {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]*gateway, len(f.gateways))
	for name, g := range f.gateways {
		all[name] = g
	}
	return all
}

// lasting tells whether a client may use its connection again. A process that retires says so
// with every answer: closing a connection that looks idle would lose what its client sends at
// that moment.
func (f *front) lasting() bool { return !f.retiring.Load() }

// inFlight counts the requests of all gateways.
func (f *front) inFlight() int {
	n := 0
	for _, g := range f.all() {
		n += g.state().InFlight
	}
	return n
}
