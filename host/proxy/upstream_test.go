package proxy

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// upstream is a gateway. It can be stopped and started, at another address each time, and notes
// what must not be: a request that it gets while it is being stopped, and one that it gets twice.
type upstream struct {
	t *testing.T

	mu       sync.Mutex
	server   *http.Server
	at       netip.AddrPort
	seen     map[string]int
	stopped  atomic.Bool // no request may come
	late     atomic.Int64
	inFlight atomic.Int64
}

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{t: t, seen: map[string]int{}}
	u.start()
	t.Cleanup(u.kill)
	return u
}

func (u *upstream) start() netip.AddrPort {
	u.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		u.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", u.echo)
	mux.HandleFunc("/events", u.events)
	mux.HandleFunc("/ws", u.websocket)
	mux.HandleFunc("/slow", u.slow)
	mux.HandleFunc("/die", u.die)
	mux.HandleFunc("/half", u.half)
	mux.HandleFunc("/headers", u.headers)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.at = l.Addr().(*net.TCPAddr).AddrPort()
	u.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// It takes a moment to find out that nobody listens to a stream any longer.
		if r.URL.Path != "/events" && r.URL.Path != "/ws" {
			u.inFlight.Add(1)
			defer u.inFlight.Add(-1)
		}
		if u.stopped.Load() {
			u.late.Add(1)
		}
		if id := r.Header.Get("X-Id"); id != "" {
			u.mu.Lock()
			u.seen[id]++
			u.mu.Unlock()
		}
		mux.ServeHTTP(w, r)
	}), ReadHeaderTimeout: time.Minute}
	server := u.server
	go func() { _ = server.Serve(l) }()
	u.stopped.Store(false)
	return u.at
}

// kill ends it as a crash does: connections are reset or closed, whatever is under way.
func (u *upstream) kill() {
	u.mu.Lock()
	defer u.mu.Unlock()
	_ = u.server.Close()
}

// times is how often a request came.
func (u *upstream) times(id string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[id]
}

func (u *upstream) echo(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprintf(w, "%x", sum.Sum(nil))
}

func (u *upstream) headers(w http.ResponseWriter, r *http.Request) {
	_ = r.Header.Write(w)
}

// slow takes as long as it is asked to.
func (u *upstream) slow(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(d)
	_, _ = io.WriteString(w, "done")
}

// die closes the connection without an answer, once per request.
func (u *upstream) die(w http.ResponseWriter, r *http.Request) {
	if u.times(r.Header.Get("X-Id")) > 1 {
		_, _ = io.WriteString(w, "alive")
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		u.t.Error(err)
		return
	}
	_ = conn.Close()
}

// half sends a part of its answer.
func (u *upstream) half(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, "half")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// events sends one in two parts, every 10 ms.
func (u *upstream) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	c := http.NewResponseController(w)
	for n := 0; r.Context().Err() == nil; n++ {
		for _, part := range []string{fmt.Sprintf("id: %d\nda", n), "ta: x\n\n"} {
			if _, err := io.WriteString(w, part); err != nil || c.Flush() != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// websocket sends back what it gets, and closes when the client does.
func (u *upstream) websocket(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		u.t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(accept[:]))
	if buffered.Flush() != nil {
		return
	}
	for {
		opcode, payload, err := readFrame(buffered.Reader)
		if err != nil {
			return
		}
		if _, err := conn.Write(frame(opcode, payload, false)); err != nil || opcode == 8 {
			return
		}
	}
}

// readFrame reads one frame of up to 125 bytes.
func readFrame(r *bufio.Reader) (opcode byte, payload []byte, err error) {
	header := make([]byte, 2)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, nil, err
	}
	masked := header[1]&0x80 != 0
	mask := make([]byte, 4)
	if masked {
		if _, err := io.ReadFull(r, mask); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, header[1]&0x7f)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for n := range payload {
		payload[n] ^= mask[n%4]
	}
	return header[0] & 0x0f, payload, nil
}
