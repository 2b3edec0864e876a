package proxy

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

var (
	oldUpstream = netip.MustParseAddrPort("172.18.0.2:18789")
	newUpstream = netip.MustParseAddrPort("172.18.0.3:18789")
)

// arrival is a request that enters.
type arrival struct {
	at  netip.AddrPort
	err error
}

func arrive(ctx context.Context, g *gateway) <-chan arrival {
	c := make(chan arrival, 1)
	v := g.visit()
	go func() {
		at, err := g.enter(ctx, v)
		c <- arrival{at, err}
	}()
	return c
}

func waits(t *testing.T, c <-chan arrival) {
	t.Helper()
	synctest.Wait()
	select {
	case a := <-c:
		t.Fatalf("a request did not wait: %+v", a)
	default:
	}
}

func comes(t *testing.T, c <-chan arrival, want arrival) {
	t.Helper()
	synctest.Wait()
	select {
	case a := <-c:
		if a.at != want.at || !errors.Is(a.err, want.err) {
			t.Fatalf("got %+v, want %+v", a, want)
		}
	default:
		t.Fatal("a request waits")
	}
}

func inBubble(t *testing.T, test func(t *testing.T, g *gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway("gw-1", 30*time.Second)
		g.route(oldUpstream)
		test(t, g)
	})
}

func TestGatewayHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		comes(t, arrive(t.Context(), g), arrival{at: oldUpstream})
		h := g.hold()
		later := arrive(t.Context(), g)
		waits(t, later)
		if left := g.drain(t.Context(), time.Second); left != 1 {
			t.Errorf("left %d, want 1", left)
		}
		drained := make(chan int)
		go func() { drained <- g.drain(t.Context(), time.Minute) }()
		time.Sleep(time.Second)
		g.leave()
		if left := <-drained; left != 0 {
			t.Errorf("left %d, want 0", left)
		}
		if s := g.state(); s.InFlight != 0 || s.Waiting != 1 || s.HeldSince == nil {
			t.Errorf("state %+v", s)
		}
		// Longer than anybody is patient without a hold.
		time.Sleep(5 * time.Minute)
		waits(t, later)
		g.route(newUpstream)
		waits(t, later)
		g.let(h, false)
		comes(t, later, arrival{at: newUpstream})
		if s := g.state(); s.InFlight != 1 || s.Waiting != 0 || s.HeldSince != nil {
			t.Errorf("state %+v", s)
		}
	})
}

func TestGatewayHeldTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		first, second := g.hold(), g.hold()
		c := arrive(t.Context(), g)
		g.let(first, false)
		waits(t, c)
		g.let(first, false)
		waits(t, c)
		g.let(second, false)
		comes(t, c, arrival{at: oldUpstream})
	})
}

func TestGatewayRelease(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		h := g.hold()
		c := arrive(t.Context(), g)
		g.release()
		comes(t, c, arrival{at: oldUpstream})
		<-h.over
	})
}

func TestGatewayHoldRunsOut(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		h := g.hold()
		c := arrive(t.Context(), g)
		waits(t, c)
		g.let(h, true)
		comes(t, c, arrival{err: errLapsed})
		comes(t, arrive(t.Context(), g), arrival{at: oldUpstream})
	})
}

func TestGatewayIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		v := g.visit()
		began := time.Now()
		tries := 0
		for {
			_, err := g.enter(t.Context(), v)
			if err != nil {
				if !errors.Is(err, errDown) {
					t.Fatal(err)
				}
				break
			}
			g.leave()
			v.pause = redial
			tries++
		}
		if took := time.Since(began); took != 30*time.Second || tries < 250 {
			t.Errorf("gave up after %s and %d attempts", took, tries)
		}
	})
}

// TestGatewayIsDownAndHeld: the time of a hold is not the time of a gateway that is down.
func TestGatewayIsDownAndHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		v := g.visit()
		v.pause = time.Hour
		c := make(chan arrival, 1)
		go func() {
			at, err := g.enter(t.Context(), v)
			c <- arrival{at, err}
		}()
		time.Sleep(29 * time.Second)
		h := g.hold()
		time.Sleep(time.Minute)
		waits(t, c)
		g.let(h, false)
		comes(t, c, arrival{at: oldUpstream})
	})
}

func TestGatewayWithoutRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway("gw-1", 30*time.Second)
		c := arrive(t.Context(), g)
		waits(t, c)
		g.route(oldUpstream)
		comes(t, c, arrival{at: oldUpstream})
	})
}

func TestGatewayIsFull(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		ctx, leave := context.WithCancel(t.Context())
		g.hold()
		for range maxWaiting {
			arrive(ctx, g)
		}
		synctest.Wait()
		comes(t, arrive(t.Context(), g), arrival{err: errFull})
		// Whoever waits already is not turned away by a look at what has changed.
		g.route(newUpstream)
		synctest.Wait()
		if s := g.state(); s.Waiting != maxWaiting {
			t.Errorf("%d wait", s.Waiting)
		}
		leave()
		synctest.Wait()
		if s := g.state(); s.Waiting != 0 || s.InFlight != 0 {
			t.Errorf("state %+v after all have gone", s)
		}
	})
}

func TestGatewayClosesAndStops(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		g.hold()
		c := arrive(t.Context(), g)
		waits(t, c)
		g.stop()
		comes(t, c, arrival{err: errStopping})
		g.close()
		comes(t, arrive(t.Context(), g), arrival{err: errClosed})
	})
}

// ending notes that it was asked to end.
type ending struct{ asked chan struct{} }

func (e ending) end() { e.asked <- struct{}{} }

func TestGatewayEndsStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		before := ending{make(chan struct{}, 1)}
		g.begin(before)
		forgotten := ending{make(chan struct{}, 1)}
		g.begin(forgotten)
		g.forget(forgotten)
		g.hold()
		<-before.asked
		// One that was under way when the hold began, and turned out to be a stream only then.
		after := ending{make(chan struct{}, 1)}
		g.begin(after)
		<-after.asked
		synctest.Wait()
		if len(forgotten.asked) > 0 {
			t.Error("a stream that is gone was ended")
		}
	})
}
