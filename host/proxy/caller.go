package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// What the control socket is asked and answers, as JSON.
type (
	holdRequest struct {
		// Drain is how long to wait for what is under way, as in 30s.
		Drain string `json:"drain"`
	}
	// holdAnswer comes when nothing is under way any longer, or the time for that is over. The
	// hold lasts as long as the connection is open.
	holdAnswer struct {
		// Left counts what is still under way.
		Left int `json:"left"`
	}
	// holdEnd is the last line of an answer if the proxy ends the hold: released, or it ran out.
	holdEnd struct {
		Ended string `json:"ended"`
	}
	routeRequest struct {
		Upstream string `json:"upstream"`
	}
	errorAnswer struct {
		Error string `json:"error"`
	}
)

// State is all that a proxy has to do with.
type State struct {
	// Gateways are by name.
	Gateways map[string]GatewayState `json:"gateways"`
}

// caller asks a control socket.
type caller struct{ socket string }

// errBusy is the answer while one process hands over to the next.
var errBusy = errors.New("the proxy is being exchanged")

// connectingTime is how long a proxy that is being started or exchanged is waited for.
const connectingTime = 10 * time.Second

// ask sends a request until it is answered: all that can be asked may be asked twice.
func (c caller) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("asking the proxy: %w", err)
	}
	until := time.Now().Add(connectingTime)
	for {
		answer, err := c.askOnce(ctx, method, path, content)
		var refused *refusal
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil || time.Now().After(until) {
			return answer, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// refusal is an answer that stays the same however often it is asked for.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func (c caller) askOnce(ctx context.Context, method, path string, content []byte) (*http.Response, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	}}
	r, err := http.NewRequestWithContext(ctx, method, "http://proxy"+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("asking the proxy: %w", err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("asking the proxy at %s, which clawft-proxy.service runs: %w", c.socket, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusServiceUnavailable {
		return nil, errBusy
	}
	text, err := io.ReadAll(answer.Body)
	var said errorAnswer
	if err != nil || json.Unmarshal(text, &said) != nil {
		said.Error = fmt.Sprintf("%s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	return nil, &refusal{said.Error}
}

// do asks for something that has no answer but that it is done.
func (c caller) do(ctx context.Context, method, path string, body any) error {
	answer, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

func (c caller) state(ctx context.Context) (State, error) {
	answer, err := c.ask(ctx, http.MethodGet, "/state", struct{}{})
	if err != nil {
		return State{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	var s State
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		return State{}, fmt.Errorf("reading the proxy's state: %w", err)
	}
	return s, nil
}

// lease is a hold as whoever asked for it has it.
type lease struct {
	left int
	end  context.CancelFunc
	// over is closed when the connection ends; ended says then whether the proxy meant it.
	over  chan struct{}
	ended bool
}

// hold returns when nothing is under way any longer, or the time for that is over. The context
// ends only the waiting.
func (c caller) hold(ctx context.Context, gateway string, drain time.Duration) (*lease, error) {
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	//nolint:bodyclose // the connection is the lease: it is closed when that ends, below
	answer, err := c.ask(lasting, http.MethodPost, "/gateways/"+gateway+"/hold", holdRequest{drain.String()})
	if err != nil {
		end()
		return nil, err
	}
	lines := json.NewDecoder(answer.Body)
	var drained holdAnswer
	if err := lines.Decode(&drained); err != nil || !stop() {
		end()
		_ = answer.Body.Close()
		return nil, fmt.Errorf("holding the requests of gateway %s: %w", gateway, errors.Join(err, ctx.Err()))
	}
	it := &lease{left: drained.Left, end: end, over: make(chan struct{})}
	go func() {
		defer close(it.over)
		defer func() { _ = answer.Body.Close() }()
		var last holdEnd
		it.ended = lines.Decode(&last) == nil
	}()
	return it, nil
}
