package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/clawft/infra/host/release"
)

// api is what root may ask for. What changes something has to enter first.
func (p *Proxy) api(enter func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", p.serveState)
	mux.HandleFunc("POST /gateways/{gateway}/hold", p.changes(enter, p.serveHold))
	mux.HandleFunc("POST /gateways/{gateway}/release", p.changes(enter, p.serveRelease))
	mux.HandleFunc("POST /gateways/{gateway}/route", p.changes(enter, p.serveRoute))
	mux.HandleFunc("DELETE /gateways/{gateway}", p.changes(enter, p.serveClose))
	mux.HandleFunc("POST /exchange", func(w http.ResponseWriter, r *http.Request) {
		if err := p.exchange(r.Context()); err != nil {
			fail(w, http.StatusConflict, err)
			return
		}
		done(w)
	})
	return mux
}

// checkName knows the names that gateways may have. One of them is taken: it is the directory of
// the control socket.
func checkName(gateway string) error {
	if !release.ValidGateway(gateway) || gateway == ownDirectory {
		return fmt.Errorf("%q is not a gateway's name: up to %d lower-case letters, digits and hyphens, and not %q",
			gateway, release.MaxGatewayName, ownDirectory)
	}
	return nil
}

// changes turns away what another process has to do.
func (p *Proxy) changes(enter func() bool, serve func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		gateway := r.PathValue("gateway")
		if err := checkName(gateway); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		if !enter() {
			fail(w, http.StatusServiceUnavailable, errBusy)
			return
		}
		defer p.leave()
		serve(w, r, gateway)
	}
}

func (p *Proxy) serveHold(w http.ResponseWriter, r *http.Request, gateway string) {
	var asked holdRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("reading what to hold: %w", err))
		return
	}
	drain, err := time.ParseDuration(asked.Drain)
	if err != nil || drain < 0 {
		fail(w, http.StatusBadRequest, fmt.Errorf("drain is %q: give a duration such as 30s", asked.Drain))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.maxHold)
	defer cancel()
	g := fronts.gateway(gateway)
	h := g.hold()
	defer p.let(g, h, func() bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) })
	if err := p.keep(g); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	p.letOrphan(gateway)

	left := p.drain(ctx, g, drain)
	answer := json.NewEncoder(w)
	if answer.Encode(holdAnswer{left}) != nil || http.NewResponseController(w).Flush() != nil {
		return
	}
	select {
	case <-ctx.Done():
		if r.Context().Err() == nil {
			_ = answer.Encode(holdEnd{"held too long"}) // whoever does not read it sees the connection end
		}
	case <-h.over:
		_ = answer.Encode(holdEnd{"released"})
	}
}

// drain waits for what is under way here and in processes that retire.
func (p *Proxy) drain(ctx context.Context, g *gateway, most time.Duration) int {
	var each sync.WaitGroup
	var mu sync.Mutex
	elsewhere := 0
	for _, other := range p.retiring(ctx) {
		each.Go(func() {
			it, err := other.hold(ctx, g.name, most)
			if err != nil {
				p.log.Warn("holding the requests of a process that retires", "gateway", g.name, "error", err)
				return
			}
			context.AfterFunc(ctx, it.end)
			mu.Lock()
			defer mu.Unlock()
			elsewhere += it.left
		})
	}
	here := g.drain(ctx, most)
	each.Wait()
	return here + elsewhere
}

// let ends a hold.
func (p *Proxy) let(g *gateway, h *hold, ranOut func() bool) {
	g.let(h, ranOut())
	if err := p.keep(g); err != nil {
		p.log.Error("writing down that a gateway is not held", "gateway", g.name, "error", err)
	}
}

func (p *Proxy) serveRelease(w http.ResponseWriter, r *http.Request, gateway string) {
	if g, ok := fronts.all()[gateway]; ok {
		g.release()
		if err := p.keep(g); err != nil {
			fail(w, http.StatusInternalServerError, err)
			return
		}
	}
	for _, other := range p.retiring(r.Context()) {
		if err := other.do(r.Context(), r.Method, r.URL.Path, struct{}{}); err != nil {
			p.log.Warn("letting the requests of a process that retires go", "gateway", gateway, "error", err)
		}
	}
	done(w)
}

func (p *Proxy) serveRoute(w http.ResponseWriter, r *http.Request, gateway string) {
	var asked routeRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("reading where a gateway listens: %w", err))
		return
	}
	upstream, err := netip.ParseAddrPort(asked.Upstream)
	if err != nil || upstream.Port() == 0 {
		fail(w, http.StatusBadRequest, fmt.Errorf("upstream is %q: give an address and a port, such as 172.18.0.2:18789", asked.Upstream))
		return
	}
	g := fronts.gateway(gateway)
	g.route(upstream)
	if err := errors.Join(p.keep(g), p.open(gateway)); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	for _, other := range p.retiring(r.Context()) {
		if err := other.do(r.Context(), r.Method, r.URL.Path, asked); err != nil {
			p.log.Warn("telling a process that retires where a gateway is", "gateway", gateway, "error", err)
		}
	}
	done(w)
}

func (p *Proxy) serveClose(w http.ResponseWriter, r *http.Request, gateway string) {
	// First, so that a process that is started next takes the rest for what it is.
	if err := p.forget(gateway); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	for _, other := range p.retiring(r.Context()) {
		if err := other.do(r.Context(), r.Method, r.URL.Path, struct{}{}); err != nil {
			p.log.Warn("closing a gateway in a process that retires", "gateway", gateway, "error", err)
		}
	}
	done(w)
}

func (p *Proxy) serveState(w http.ResponseWriter, r *http.Request) {
	s := State{Gateways: map[string]GatewayState{}}
	for name, g := range fronts.all() {
		s.Gateways[name] = g.state()
	}
	for _, other := range p.retiring(r.Context()) {
		there, err := other.state(r.Context())
		if err != nil {
			continue // it has ended since
		}
		for name, g := range there.Gateways {
			sum := s.Gateways[name]
			sum.InFlight += g.InFlight
			sum.Waiting += g.Waiting
			s.Gateways[name] = sum
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s) // the connection is gone, and with it whoever asked
}

func done(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte("{}\n")) // as above
}

func fail(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(errorAnswer{err.Error()}) // as above
}

// rootOnly is a listener that lets in root and whoever runs this process, whatever the mode of
// the socket's file has become.
type rootOnly struct{ *net.UnixListener }

func (l rootOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c); err == nil && (uid == 0 || int(uid) == os.Getuid()) {
			return c, nil
		}
		_ = c.Close()
	}
}
