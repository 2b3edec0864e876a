package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const gw = "gw-1"

// behind starts a proxy in front of a gateway.
func behind(t *testing.T) (*supervisor, *upstream, *Client) {
	t.Helper()
	s := supervise(t)
	u := startUpstream(t)
	c := s.client()
	if err := c.Route(t.Context(), gw, u.at); err != nil {
		t.Fatal(err)
	}
	return s, u, c
}

// swap exchanges the gateway as a deployment does.
func swap(t *testing.T, u *upstream, c *Client) {
	t.Helper()
	left, err := c.Hold(t.Context(), gw, 20*time.Second)
	if err != nil || left != 0 {
		t.Errorf("hold: %d left, %v", left, err)
	}
	u.stopped.Store(true)
	if n := u.inFlight.Load(); n != 0 {
		t.Errorf("the proxy counts nothing under way, the gateway %d", n)
	}
	u.kill()
	time.Sleep(200 * time.Millisecond)
	at := u.start()
	if err := c.Route(t.Context(), gw, at); err != nil {
		t.Error(err)
	}
	if err := c.Release(t.Context(), gw); err != nil {
		t.Error(err)
	}
}

func TestSwapUnderLoad(t *testing.T) {
	s, u, c := behind(t)
	l := apply(t, s.door(gw))
	for range 4 {
		time.Sleep(300 * time.Millisecond)
		swap(t, u, c)
	}
	time.Sleep(300 * time.Millisecond)
	l.finish()
	if n := u.late.Load(); n > 0 {
		t.Errorf("%d requests came while the gateway was held", n)
	}
}

func TestExchangeUnderLoad(t *testing.T) {
	s, u, c := behind(t)
	l := apply(t, s.door(gw))
	time.Sleep(300 * time.Millisecond)
	former := s.signal(syscall.SIGHUP)
	s.await()
	// What the old process still has is held with the rest.
	swap(t, u, c)
	if err := c.Exchange(t.Context()); err != nil {
		t.Error(err)
	}
	s.await()
	swap(t, u, c)
	time.Sleep(300 * time.Millisecond)
	l.finish()
	if n := u.late.Load(); n > 0 {
		t.Errorf("%d requests came while the gateway was held", n)
	}
	if !s.gone(former, 10*time.Second) {
		t.Error("the first process does not end")
	}
	if got := s.kept(); !slices.Equal(got, []string{"control", "gateway/gw-1"}) {
		t.Errorf("systemd keeps %v", got)
	}
}

// TestStreamsOutliveAnExchange: they end when they like, or at the limit, with 1012.
func TestStreamsOutliveAnExchange(t *testing.T) {
	s, _, c := behind(t)
	conn, r, err := dialWebSocket(s.door(gw))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began := time.Now()
	former := s.signal(0)
	if err := c.Exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await()
	if state, err := c.State(t.Context()); err != nil || state.Gateways[gw].InFlight != 1 {
		t.Errorf("state %+v, %v: want the old process's WebSocket in it", state, err)
	}
	for {
		if _, err := conn.Write(frame(1, []byte("hello"), true)); err != nil {
			t.Fatal(err)
		}
		opcode, payload, err := readFrame(r)
		if err != nil {
			t.Fatalf("after %s: %v", time.Since(began), err)
		}
		if opcode == 8 {
			if payload[0] != 1012>>8 || payload[1] != 1012&0xff {
				t.Errorf("closed with % x", payload)
			}
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(began); took < 7*time.Second {
		t.Errorf("closed after %s", took)
	}
	if !s.gone(former, 10*time.Second) {
		t.Error("the old process does not end")
	}
}

// TestExchangeWaitsForADeployment, which would lose its hold.
func TestExchangeWaitsForADeployment(t *testing.T) {
	_, _, c := behind(t)
	if _, err := c.Hold(t.Context(), gw, time.Second); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.Exchange(ctx); err == nil {
		t.Error("exchanged")
	}
	if err := c.Release(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	if err := c.Exchange(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBinaryThatIsBroken does not take over, and nothing is lost by the attempt.
func TestBinaryThatIsBroken(t *testing.T) {
	s, _, c := behind(t)
	text := filepath.Join(s.dir, "text")
	if err := os.WriteFile(text, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	main := s.signal(0)
	l := apply(t, s.door(gw))
	for _, broken := range []string{"/bin/false", "/bin/true", text, filepath.Join(s.dir, "missing"), s.dir} {
		s.install(broken)
		if err := c.Exchange(t.Context()); err == nil {
			t.Errorf("%s has taken over", broken)
		}
		if s.signal(0) != main {
			t.Fatalf("%s is the main process", broken)
		}
	}
	time.Sleep(300 * time.Millisecond)
	l.finish()
	s.install(os.Args[0])
	if err := c.Exchange(t.Context()); err != nil {
		t.Error(err)
	}
	s.await()
	if s.signal(0) == main {
		t.Error("the process is the same")
	}
}

func TestRestartUnderLoad(t *testing.T) {
	s, _, c := behind(t)
	l := apply(t, s.door(gw))
	for range 2 {
		time.Sleep(300 * time.Millisecond)
		s.signal(syscall.SIGTERM)
		s.await()
	}
	time.Sleep(300 * time.Millisecond)
	l.finish()
	if _, err := c.State(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestKill: nobody is refused, and whoever comes while there is no process is answered by the next.
func TestKill(t *testing.T) {
	s, u, c := behind(t)
	for range 3 {
		killed := s.signal(syscall.SIGKILL)
		if !s.gone(killed, 10*time.Second) {
			t.Fatal("not killed")
		}
		failed := make(chan error, 100)
		for range cap(failed) {
			go func() {
				client := httpClient(s.door(gw))
				defer client.CloseIdleConnections()
				r, err := http.NewRequest("POST", "http://localhost/echo", io.NopCloser(strings.NewReader("x")))
				if err == nil {
					_, _, err = send(client, r)
				}
				failed <- err
			}()
		}
		for range cap(failed) {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
		s.await()
	}
	swap(t, u, c)
	if got := s.kept(); !slices.Equal(got, []string{"control", "gateway/gw-1"}) {
		t.Errorf("systemd keeps %v", got)
	}
}

// TestKillWhileHeld: those who wait are lost with the process, but nobody gets through.
func TestKillWhileHeld(t *testing.T) {
	s, u, c := behind(t)
	if _, err := c.Hold(t.Context(), gw, time.Second); err != nil {
		t.Fatal(err)
	}
	u.stopped.Store(true)
	if !s.gone(s.signal(syscall.SIGKILL), 10*time.Second) {
		t.Fatal("not killed")
	}
	answered := make(chan error, 1)
	go func() {
		_, _, err := get(s, "/echo", nil)
		answered <- err
	}()
	s.await()
	select {
	case err := <-answered:
		t.Fatalf("answered while the gateway is held: %v", err)
	case <-time.After(2 * time.Second):
	}
	u.stopped.Store(false)
	if err := c.Release(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if u.late.Load() > 0 {
		t.Error("a request came while the gateway was held")
	}
}

// TestHoldIsALease: it ends with whoever has it.
func TestHoldIsALease(t *testing.T) {
	s, _, c := behind(t)
	it, err := c.hold(t.Context(), gw, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if state, err := c.State(t.Context()); err != nil || state.Gateways[gw].HeldSince == nil {
		t.Errorf("state %+v, %v", state, err)
	}
	answered := make(chan error, 1)
	go func() {
		_, _, err := get(s, "/echo", nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("answered while the gateway is held: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	it.end() // the connection, as the end of a process does
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("held without a holder")
	}
}

func TestHoldRunsOut(t *testing.T) {
	s, _, c := behind(t)
	it, err := c.hold(t.Context(), gw, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, answer, err := get(s, "/echo", nil)
	if answer == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("answer %+v, %v", answer, err)
	}
	if took := time.Since(began); took < 5*time.Second || took > 15*time.Second {
		t.Errorf("after %s", took)
	}
	<-it.over
	if !it.ended {
		t.Error("the holder was not told")
	}
	if _, _, err := get(s, "/echo", nil); err != nil {
		t.Error(err)
	}
}

// TestHoldCounts what does not end in time.
func TestHoldCounts(t *testing.T) {
	s, u, c := behind(t)
	done := make(chan error, 3)
	for range cap(done) {
		go func() {
			_, _, err := get(s, "/slow?for=3s", nil)
			done <- err
		}()
	}
	for u.inFlight.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	if left, err := c.Hold(t.Context(), gw, 100*time.Millisecond); err != nil || left != 3 {
		t.Errorf("%d left, %v", left, err)
	}
	if left, err := c.Hold(t.Context(), gw, 20*time.Second); err != nil || left != 0 {
		t.Errorf("%d left, %v", left, err)
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := c.Release(t.Context(), gw); err != nil {
		t.Error(err)
	}
}

// slowly is an upload that takes its time.
type slowly struct {
	left  int
	pause time.Duration
	read  atomic.Int64
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pause)
	n := min(s.left, len(p))
	s.left -= n
	s.read.Add(int64(n))
	return n, nil
}

// TestUploadEndsBeforeTheSwap, however long it takes, if it began before the hold. One that comes
// later is not taken in: its body stays with the client.
func TestUploadEndsBeforeTheSwap(t *testing.T) {
	s, u, c := behind(t)
	before := make(chan error, 1)
	go func() {
		_, _, err := get(s, "/echo", &slowly{left: 1 << 20, pause: 30 * time.Millisecond})
		before <- err
	}()
	for u.inFlight.Load() < 1 {
		time.Sleep(time.Millisecond)
	}
	if left, err := c.Hold(t.Context(), gw, 20*time.Second); err != nil || left != 0 {
		t.Errorf("%d left, %v", left, err)
	}
	if err := <-before; err != nil {
		t.Error(err)
	}
	later := &slowly{left: 64 << 20}
	after := make(chan error, 1)
	go func() {
		_, _, err := get(s, "/echo", later)
		after <- err
	}()
	time.Sleep(500 * time.Millisecond)
	if n := later.read.Load(); n > 4<<20 {
		t.Errorf("%d bytes of an upload that waits were taken in", n)
	}
	if err := c.Release(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	if err := <-after; err != nil {
		t.Error(err)
	}
}

// TestIncompleteAnswer: what a gateway could not finish does not look complete.
func TestIncompleteAnswer(t *testing.T) {
	s, u, _ := behind(t)
	answered := make(chan error, 1)
	go func() {
		_, _, err := get(s, "/half", nil)
		answered <- err
	}()
	for u.inFlight.Load() < 1 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	u.kill()
	if err := <-answered; err == nil {
		t.Error("the client takes it for complete")
	}
}

// TestGatewayCrashes: whoever comes until it is back waits.
func TestGatewayCrashes(t *testing.T) {
	s, u, c := behind(t)
	u.kill()
	answered := make(chan error, 50)
	for range cap(answered) {
		go func() {
			_, _, err := get(s, "/echo", strings.NewReader(strings.Repeat("x", 1<<20)))
			answered <- err
		}()
	}
	time.Sleep(time.Second)
	if state, err := c.State(t.Context()); err != nil || state.Gateways[gw].Waiting < cap(answered)-5 {
		t.Errorf("state %+v, %v", state, err)
	}
	if err := c.Route(t.Context(), gw, u.start()); err != nil {
		t.Fatal(err)
	}
	for range cap(answered) {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	u.kill()
	began := time.Now()
	_, answer, err := get(s, "/echo", nil)
	if answer == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("answer %+v, %v", answer, err)
	}
	if took := time.Since(began); took < 5*time.Second || took > 15*time.Second {
		t.Errorf("after %s", took)
	}
}

// TestNothingIsRepeated that may have been done already.
func TestNothingIsRepeated(t *testing.T) {
	s, u, _ := behind(t)
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"} {
		for _, body := range []string{"", "x"} {
			if method == "HEAD" && body != "" {
				continue
			}
			id := method + body
			r, err := http.NewRequest(method, "http://localhost/die", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Id", id)
			client := httpClient(s.door(gw))
			_, answer, err := send(client, r)
			client.CloseIdleConnections()
			want, times := http.StatusOK, 2
			if body != "" || method == "POST" || method == "PATCH" {
				want, times = http.StatusBadGateway, 1
			}
			if answer == nil || answer.StatusCode != want || u.times(id) != times {
				t.Errorf("%s with %q: %v, %v; it came %d times, want %d", method, body, answer, err, u.times(id), times)
			}
		}
	}
}

// TestRequestsPassUnchanged, but for what says who asked.
func TestRequestsPassUnchanged(t *testing.T) {
	s, _, _ := behind(t)
	r, err := http.NewRequest("GET", "http://localhost:8080/headers", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer x")
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	r.Header.Set("X-Forwarded-Host", "evil.example")
	got, _, err := send(httpClient(s.door(gw)), r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, "Authorization: Bearer x\r\n") || strings.Contains(got, "192.0.2.1") || strings.Contains(got, "evil.example") {
		t.Errorf("the gateway got:\n%s", got)
	}
}

// TestForeignPagesAreRefused by the process as it runs, before anything is sent to the gateway.
func TestForeignPagesAreRefused(t *testing.T) {
	s, u, _ := behind(t)
	for _, upgrade := range []bool{false, true} {
		for want, p := range map[int]page{
			http.StatusMisdirectedRequest: {host: "evil.example:8080"},
			http.StatusForbidden:          {host: "localhost:8080", origin: "https://evil.example"},
		} {
			r, err := http.NewRequest("GET", "http://"+p.host+"/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = p.request("GET", upgrade).Header
			r.Header.Set("X-Id", "foreign")
			if _, answer, _ := send(httpClient(s.door(gw)), r); answer == nil || answer.StatusCode != want {
				t.Errorf("%+v (upgrade %v): %v", p, upgrade, answer)
			}
		}
	}
	if u.times("foreign") > 0 {
		t.Error("the gateway got it")
	}
}

// TestLeavesNothing: who may open which socket, no port, no file of Caddy's.
func TestLeavesNothing(t *testing.T) {
	s, _, c := behind(t)
	for path, want := range map[string]os.FileMode{
		s.door(gw):                 os.ModeSocket | 0o660,
		filepath.Dir(s.door(gw)):   os.ModeDir | os.ModeSetgid | 0o750,
		controlSocket(s.dir):       os.ModeSocket | 0o600,
		s.dir + "/proxy/gw-1.json": 0o600,
	} {
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(s.dir, "home")); !os.IsNotExist(err) {
		t.Errorf("something was written below HOME: %v", err)
	}
	pid := s.signal(0)
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(content), "\n")[1:] {
			// 0A is LISTEN; for UDP, any socket would be too many.
			fields := strings.Fields(line)
			if len(fields) < 10 || strings.HasPrefix(table, "tcp") && fields[3] != "0A" {
				continue
			}
			if has(t, pid, "socket:["+fields[9]+"]") {
				t.Errorf("the proxy has a port: %s", line)
			}
		}
	}

	if err := c.Close(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context(), gw); err != nil {
		t.Errorf("closing what is closed: %v", err)
	}
	for _, path := range []string{filepath.Dir(s.door(gw)), s.dir + "/proxy/gw-1.json"} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left", path)
		}
	}
	if got := s.kept(); !slices.Equal(got, []string{"control"}) {
		t.Errorf("systemd keeps %v", got)
	}
}

// has tells whether a process has a file open.
func has(t *testing.T, pid int, file string) bool {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(links, func(link string) bool {
		to, err := os.Readlink(link)
		return err == nil && to == file
	})
}

// TestSocketComesBack when somebody has removed it, and after a removal that was cut short.
func TestSocketComesBack(t *testing.T) {
	s, u, c := behind(t)
	if err := os.Remove(s.door(gw)); err != nil {
		t.Fatal(err)
	}
	if err := c.Route(t.Context(), gw, u.at); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(s, "/echo", nil); err != nil {
		t.Error(err)
	}
	if err := os.Remove(s.dir + "/proxy/gw-1.json"); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGKILL)
	s.await()
	if got := s.kept(); !slices.Equal(got, []string{"control"}) {
		t.Errorf("systemd keeps %v", got)
	}
	if _, err := os.Lstat(s.door(gw)); !os.IsNotExist(err) {
		t.Error("the socket of a gateway that is removed is left")
	}
	if err := c.Route(t.Context(), gw, u.at); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(s, "/echo", nil); err != nil {
		t.Error(err)
	}
}

func TestControlRefusesNonsense(t *testing.T) {
	_, u, c := behind(t)
	for _, name := range []string{"", "proxy", "..", "A", "a/b", strings.Repeat("a", 64)} {
		if err := c.Route(t.Context(), name, u.at); err == nil {
			t.Errorf("%q is a gateway", name)
		}
	}
	for path, body := range map[string]any{
		"/gateways/gw-1/hold": holdRequest{"soon"}, "/gateways/gw-2/hold": holdRequest{"-1s"},
		"/gateways/gw-1/route": routeRequest{"localhost:1"}, "/gateways/gw-2/route": routeRequest{"127.0.0.1:0"},
	} {
		if err := c.do(t.Context(), "POST", path, body); err == nil {
			t.Errorf("%s takes %+v", path, body)
		}
	}
}

// get sends a request to the gateway, with POST if it has a body.
func get(s *supervisor, path string, body io.Reader) (string, *http.Response, error) {
	method := "GET"
	if body != nil {
		method = "POST"
	}
	r, err := http.NewRequest(method, "http://localhost"+path, body)
	if err != nil {
		return "", nil, err
	}
	client := httpClient(s.door(gw))
	defer client.CloseIdleConnections()
	return send(client, r)
}
