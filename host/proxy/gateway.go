package proxy

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxWaiting bounds the memory of requests that wait for one gateway: some 32 KiB each, with the connection.
	maxWaiting = 4096
	// redial is how long a request waits before it tries a gateway again that was not there.
	redial = 100 * time.Millisecond
)

// What becomes of a request that has waited in vain.
var (
	errFull     = errors.New("too many requests wait for this gateway already")
	errDown     = errors.New("the gateway does not answer")
	errLapsed   = errors.New("the gateway is being exchanged, and that takes too long")
	errClosed   = errors.New("this gateway was removed")
	errStopping = errors.New("the proxy is being restarted")
)

// stream is an answer or a connection without an end of its own. end begins to end it in the
// protocol's own way; it may be called more than once.
type stream interface{ end() }

// gateway is one gateway as its clients see it: where it listens, whether it is held, how many
// requests it has under way.
type gateway struct {
	name string
	// patience is how long a request waits for a gateway that is not there and not held.
	patience time.Duration

	mu       sync.Mutex
	upstream netip.AddrPort
	holds    map[*hold]struct{}
	since    time.Time
	lapsed   int // how many holds ran out
	closed   bool
	stopping bool
	inFlight int
	waiting  int
	streams  map[stream]struct{}
	changed  chan struct{} // closed, and made anew, when something of the above is worth a look
}

// hold is one reason why a gateway's requests wait.
type hold struct {
	over chan struct{} // closed by release
}

func newGateway(name string, patience time.Duration) *gateway {
	return &gateway{name: name, patience: patience, holds: map[*hold]struct{}{},
		streams: map[stream]struct{}{}, changed: make(chan struct{})}
}

// tell wakes everybody who waits. It needs the lock.
func (g *gateway) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *gateway) held() bool { return len(g.holds) > 0 }

// visit is one request's way to its gateway, over several attempts.
type visit struct {
	pause  time.Duration // before the next attempt, unless something changes
	until  time.Time     // zero as long as the gateway is held
	lapsed int
}

func (g *gateway) visit() *visit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &visit{lapsed: g.lapsed}
}

// enter waits until a request may go to the gateway, and counts it as under way. An error says
// why it never may; it is the context's when the client has gone.
func (g *gateway) enter(ctx context.Context, v *visit) (netip.AddrPort, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	queued := false
	defer func() {
		if queued {
			g.waiting--
		}
	}()
	for {
		switch {
		case g.closed:
			return netip.AddrPort{}, errClosed
		case v.lapsed != g.lapsed:
			return netip.AddrPort{}, errLapsed
		case !g.held() && g.upstream.IsValid() && v.pause == 0:
			g.inFlight++
			return g.upstream, nil
		case g.stopping:
			return netip.AddrPort{}, errStopping
		case !queued && g.waiting >= maxWaiting:
			return netip.AddrPort{}, errFull
		}
		wait := v.pause
		if g.held() {
			v.until, wait = time.Time{}, time.Hour
		} else {
			now := time.Now()
			if v.until.IsZero() {
				v.until = now.Add(g.patience)
			}
			left := v.until.Sub(now)
			if left <= 0 {
				return netip.AddrPort{}, errDown
			}
			if wait == 0 || wait > left {
				wait = left
			}
		}
		if !queued {
			queued = true
			g.waiting++
		}
		if err := g.await(ctx, wait); err != nil {
			return netip.AddrPort{}, err
		}
		v.pause = 0
	}
}

// await waits for a change, at most for the time given. It needs the lock, and has it again.
func (g *gateway) await(ctx context.Context, most time.Duration) error {
	changed := g.changed
	g.mu.Unlock()
	defer g.mu.Lock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// leave takes back what enter counted.
func (g *gateway) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	if g.inFlight == 0 && (g.held() || g.stopping) {
		g.tell()
	}
}

// begin makes a stream known, which ends at the next hold, or at once if that has begun.
func (g *gateway) begin(s stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.streams[s] = struct{}{}
	if g.held() || g.stopping {
		go s.end()
	}
}

func (g *gateway) forget(s stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.streams, s)
}

// endStreams needs the lock. A stream may have to wait for its client.
func (g *gateway) endStreams() {
	for s := range g.streams {
		go s.end()
	}
}

// hold has new requests wait, and begins to end what would not end by itself.
func (g *gateway) hold() *hold {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held() {
		g.since = time.Now()
	}
	h := &hold{over: make(chan struct{})}
	g.holds[h] = struct{}{}
	g.endStreams()
	g.tell()
	return h
}

// let ends one hold. Requests that waited for one that ran out are answered.
func (g *gateway) let(h *hold, ranOut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.holds[h]; !ok {
		return
	}
	delete(g.holds, h)
	if ranOut {
		g.lapsed++
	}
	g.tell()
}

// release ends all holds.
func (g *gateway) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for h := range g.holds {
		delete(g.holds, h)
		close(h.over)
	}
	g.tell()
}

// drain waits until nothing is under way, at most for the time given. It returns how many still are.
func (g *gateway) drain(ctx context.Context, most time.Duration) int {
	until := time.Now().Add(most)
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.inFlight > 0 {
		left := time.Until(until)
		if left <= 0 || g.await(ctx, left) != nil {
			break
		}
	}
	return g.inFlight
}

// route says where the gateway listens from now on.
func (g *gateway) route(upstream netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.upstream = upstream
	g.tell()
}

// close turns everybody away who waits.
func (g *gateway) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.endStreams()
	g.tell()
}

// stop has no request wait any longer, and ends the streams.
func (g *gateway) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopping = true
	g.endStreams()
	g.tell()
}

// GatewayState is one gateway as the proxy sees it.
type GatewayState struct {
	// Upstream is where the gateway listens, "" before that is known.
	Upstream string `json:"upstream,omitempty"`
	// InFlight counts the requests, uploads, streams and WebSockets that the gateway has.
	InFlight int `json:"inFlight"`
	// Waiting counts the requests that wait for the gateway.
	Waiting int `json:"waiting"`
	// HeldSince is absent unless requests are held.
	HeldSince *time.Time `json:"heldSince,omitempty"`
}

// record is what the next process has to know; ok is false when there is nothing.
func (g *gateway) record() (it record, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	it = record{Upstream: g.upstream, Held: g.held()}
	return it, !g.closed && (it.Upstream.IsValid() || it.Held)
}

func (g *gateway) state() GatewayState {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := GatewayState{InFlight: g.inFlight, Waiting: g.waiting}
	if g.upstream.IsValid() {
		s.Upstream = g.upstream.String()
	}
	if g.held() {
		since := g.since
		s.HeldSince = &since
	}
	return s
}
