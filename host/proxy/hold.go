package proxy

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// upstreamVar is what the handler after Hold reads: where the gateway listens.
const upstreamVar = "clawft_upstream"

// Hold lets a request through to the next handler, which proxies it, when its gateway may have
// it. A request that could not be handed over waits like one that is held.
type Hold struct{}

// CaddyModule makes it known to Caddy.
func (Hold) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.clawft_hold", New: func() caddy.Module { return new(Hold) }}
}

func (Hold) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(doorAddr)
	if !ok {
		return caddyhttp.Error(http.StatusInternalServerError, errors.New("clawft_hold has a listener that is no gateway's"))
	}
	return fronts.gateway(string(at)).serve(w, r, next)
}

// serve waits, hands over, and begins anew as long as the gateway got nothing.
func (g *gateway) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	v := g.visit()
	repeated := false
	for {
		upstream, err := g.enter(r.Context(), v)
		if err != nil {
			refuse(w, err)
			return nil
		}
		caddyhttp.SetVar(r.Context(), upstreamVar, upstream.String())
		begun, err := g.pass(w, r, next)
		var unreached reverseproxy.DialError
		switch {
		case err == nil || begun:
			return err
		case errors.As(err, &unreached):
		case !repeated && repeatable(r):
			repeated = true
		default:
			answerError(w, http.StatusBadGateway, "The gateway ended before it answered. It may have done what this request asks "+
				"for, so the request was not sent again.")
			return nil
		}
		v.pause = redial
	}
}

// pass hands a request that has entered to the gateway. Begun says that the client has some of
// the answer.
func (g *gateway) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (begun bool, err error) {
	defer g.leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	a := &answer{ResponseWriter: w, gateway: g, lasting: fronts.lasting, cancel: cancel, socket: asksForWebSocket(r)}
	defer a.done()
	defer func() {
		begun = a.begun
		if !a.ended() {
			return
		}
		// For the one that proxies, the gateway's half was cut; for the client, the stream is complete.
		err = nil
		if v := recover(); v != nil {
			if cut, ok := v.(error); !ok || !errors.Is(cut, http.ErrAbortHandler) {
				panic(v)
			}
		}
	}()
	return false, next.ServeHTTP(a, r.WithContext(ctx))
}

// repeatable requests may reach a gateway twice: RFC 9110, 9.2.2. A body may have been read from
// already.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return r.ContentLength == 0 && !asksForWebSocket(r)
	}
	return false
}

// refuse answers a request that has waited in vain.
func refuse(w http.ResponseWriter, why error) {
	text := "The request was not sent to the gateway: " + why.Error() + "."
	w.Header().Set("Retry-After", "5")
	answerError(w, http.StatusServiceUnavailable, text)
}

func answerError(w http.ResponseWriter, status int, text string) {
	if !fronts.lasting() {
		w.Header().Set("Connection", "close")
	}
	http.Error(w, text, status)
}
