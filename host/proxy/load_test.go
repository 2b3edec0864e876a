package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is clients of every kind, who go on until they are stopped. What fails is an error of the test.
type load struct {
	t    *testing.T
	door string
	stop context.CancelFunc
	all  sync.WaitGroup

	mu    sync.Mutex
	kinds map[string]*measured
}

// measured is what one kind of client has seen.
type measured struct {
	sent, failed int
	took         []time.Duration
}

// apply starts the clients.
func apply(t *testing.T, door string) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{t: t, door: door, stop: stop, kinds: map[string]*measured{}}
	for range 8 {
		l.all.Go(func() { l.posts(ctx, "keep-alive", httpClient(door), 100) })
	}
	l.all.Go(func() {
		c := httpClient(door)
		c.Transport.(*http.Transport).DisableKeepAlives = true
		l.posts(ctx, "connect", c, 100)
	})
	multiplexed := httpClient(door)
	multiplexed.Transport.(*http.Transport).Protocols = new(http.Protocols)
	multiplexed.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	for range 4 {
		l.all.Go(func() { l.posts(ctx, "http/2", multiplexed, 100) })
	}
	for range 2 {
		l.all.Go(func() { l.posts(ctx, "upload", httpClient(door), 1<<20) })
	}
	for range 2 {
		l.all.Go(func() { l.repeat(ctx, "events", func() error { return l.events(ctx) }) })
		l.all.Go(func() { l.repeat(ctx, "websocket", func() error { return l.websocket(ctx) }) })
	}
	t.Cleanup(stop)
	return l
}

// finish stops the clients and says what they have seen.
func (l *load) finish() {
	l.t.Helper()
	l.stop()
	l.all.Wait()
	for _, kind := range []string{"keep-alive", "connect", "http/2", "upload", "events", "websocket"} {
		m := l.kinds[kind]
		if m == nil || m.sent == 0 {
			l.t.Errorf("%s: nothing was sent", kind)
			continue
		}
		slices.Sort(m.took)
		l.t.Logf("%s: sent %d, failed %d, p50 %s, p99 %s, max %s", kind, m.sent, m.failed,
			m.took[len(m.took)/2].Round(time.Microsecond), m.took[len(m.took)*99/100].Round(time.Microsecond), m.took[len(m.took)-1].Round(time.Microsecond))
		if m.failed > 0 {
			l.t.Errorf("%s: %d of %d failed", kind, m.failed, m.sent)
		}
	}
}

func (l *load) repeat(ctx context.Context, kind string, once func() error) {
	for ctx.Err() == nil {
		began := time.Now()
		err := once()
		took := time.Since(began)
		l.mu.Lock()
		m := l.kinds[kind]
		if m == nil {
			m = &measured{}
			l.kinds[kind] = m
		}
		m.sent++
		m.took = append(m.took, took)
		if err != nil {
			m.failed++
			if m.failed <= 3 {
				l.t.Logf("%s: %v", kind, err)
			}
		}
		l.mu.Unlock()
	}
}

// posts sends what nobody may send twice: a client does not, and the proxy must not need to.
func (l *load) posts(ctx context.Context, kind string, c *http.Client, size int) {
	body := bytes.Repeat([]byte("clawft"), size/6+1)
	want := fmt.Sprintf("%x", sha256.Sum256(body))
	l.repeat(ctx, kind, func() error {
		var reader io.Reader = bytes.NewReader(body)
		if kind != "http/2" {
			// Not to be sent again by the client itself. In HTTP/2 it has to: a server that says goodbye
			// tells which requests it has not looked at.
			reader = io.NopCloser(reader)
		}
		r, err := http.NewRequest("POST", "http://localhost/echo", reader)
		if err != nil {
			return err
		}
		got, _, err := send(c, r)
		if err == nil && got != want {
			err = fmt.Errorf("answered %q", got)
		}
		time.Sleep(5 * time.Millisecond)
		return err
	})
}

// events reads a stream until it ends, which it may after an event only.
func (l *load) events(ctx context.Context) error {
	c := httpClient(l.door)
	defer c.CloseIdleConnections()
	answer, err := c.Get("http://localhost/events")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	leave := context.AfterFunc(ctx, func() { _ = answer.Body.Close() })
	defer leave()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	got, err := io.ReadAll(answer.Body)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the stream broke: %w", err)
	}
	if len(got) > 0 && !bytes.HasSuffix(got, []byte("data: x\n\n")) {
		return fmt.Errorf("the stream ended within an event: %q", got[max(0, len(got)-40):])
	}
	return nil
}

// websocket talks until the other side says goodbye, which it may with 1012 only.
func (l *load) websocket(ctx context.Context) error {
	conn, r, err := dialWebSocket(l.door)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for ctx.Err() == nil {
		if _, err := conn.Write(frame(1, []byte("hello"), true)); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		opcode, payload, err := readFrame(r)
		switch {
		case err != nil:
			return fmt.Errorf("reading: %w", err)
		case opcode == 8:
			if len(payload) < 2 || binary.BigEndian.Uint16(payload) != 1012 {
				return fmt.Errorf("closed with % x", payload)
			}
			if _, err := conn.Write(frame(8, payload, true)); err != nil {
				return fmt.Errorf("confirming: %w", err)
			}
			if _, _, err := readFrame(r); !errors.Is(err, io.EOF) {
				return fmt.Errorf("after the last frame: %w", err)
			}
			return nil
		case string(payload) != "hello":
			return fmt.Errorf("got %q", payload)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// httpClient has one connection at a time, kept alive, to a gateway's socket.
func httpClient(door string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", door)
	}}}
}

// send returns the body of an answer with status 200.
func send(c *http.Client, r *http.Request) (string, *http.Response, error) {
	answer, err := c.Do(r)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", answer, err
	}
	if answer.StatusCode != http.StatusOK {
		return string(got), answer, fmt.Errorf("%s: %s", answer.Status, strings.TrimSpace(string(got)))
	}
	return string(got), answer, nil
}

func dialWebSocket(door string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("unix", door)
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, nil, err
	}
	_, err = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	r := bufio.NewReader(conn)
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		_ = conn.Close()
		return nil, nil, errors.New(answer.Status)
	}
	return conn, r, nil
}
