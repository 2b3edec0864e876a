package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// The load is steady and small: 4 clients, each a request every 50 ms, as a
	// handful of busy chat channels would send.
	loadClients  = 4
	loadInterval = 50 * time.Millisecond
	// loadPatience is how long a client waits for an answer: longer than requests
	// are held during an update.
	loadPatience = 2 * time.Minute
)

// load is steady traffic through a host's SSH tunnel, as its users have it.
type load struct {
	address string
	session string
	stop    context.CancelFunc
	tunnel  *exec.Cmd
	clients sync.WaitGroup

	mu       sync.Mutex
	sent     int
	failures []string
	accepted map[string]bool
	slowest  time.Duration
}

// startLoad opens a tunnel to a host and sends messages and health questions
// through it until finish.
func startLoad(t *testing.T, l lab, name string) *load {
	t.Helper()
	hosts := l.hosts(t)
	host, err := hosts.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	line := hosts.SSH(host, "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-N", "-L", address+":127.0.0.1:8080")
	ctx, cancel := context.WithCancel(context.Background())
	run := &load{
		address:  address,
		session:  fmt.Sprintf("load-%d", time.Now().UnixNano()),
		stop:     cancel,
		tunnel:   exec.Command(line[0], line[1:]...),
		accepted: map[string]bool{},
	}
	if err := run.tunnel.Start(); err != nil {
		t.Fatalf("opening a tunnel: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = run.tunnel.Process.Kill()
		_ = run.tunnel.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if connection, err := net.Dial("tcp", address); err == nil {
			connection.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the tunnel does not open")
		}
	}
	for client := range loadClients {
		run.clients.Go(func() { run.client(ctx, client) })
	}
	return run
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (l *load) client(ctx context.Context, number int) {
	client := &http.Client{Timeout: loadPatience}
	for sequence := 0; ctx.Err() == nil; sequence++ {
		started := time.Now()
		id := ""
		var err error
		if sequence%4 == 3 {
			_, err = l.get(client, "/api/health")
		} else {
			id = fmt.Sprintf("%d-%d", number, sequence)
			err = l.post(client, id)
		}
		l.note(id, err, time.Since(started))
		select {
		case <-ctx.Done():
		case <-time.After(loadInterval):
		}
	}
}

// post sends a message whose handling takes a while, so that some are always in
// flight.
func (l *load) post(client *http.Client, id string) error {
	body := fmt.Sprintf(`{"id":%q,"content":"steady"}`, id)
	response, err := client.Post("http://"+l.address+"/api/messages?delay=80&session="+l.session, "application/json", strings.NewReader(body))
	return check(response, err)
}

func (l *load) get(client *http.Client, path string) ([]byte, error) {
	response, err := client.Get("http://" + l.address + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return body, err
}

func check(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}

func (l *load) note(id string, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.slowest = max(l.slowest, took)
	if err != nil {
		l.failures = append(l.failures, err.Error())
		return
	}
	if id != "" {
		l.accepted[id] = true
	}
}

// finish stops the load and demands that no more requests failed than a crash
// may cost, every accepted message is stored once, and no two gateways ran at the
// same time.
func (l *load) finish(t *testing.T, mayFail int) {
	t.Helper()
	l.stop()
	l.clients.Wait()
	client := &http.Client{Timeout: loadPatience}

	t.Logf("load: %d requests, %d failed, slowest %.1f s", l.sent, len(l.failures), l.slowest.Seconds())
	if l.sent < loadClients*10 {
		t.Errorf("only %d requests were sent; the load did not run", l.sent)
	}
	if len(l.failures) > mayFail {
		t.Errorf("%d of %d requests failed, the first with: %s", len(l.failures), l.sent, l.failures[0])
	}

	var stored struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	l.ask(t, client, "/api/messages?session="+l.session, &stored)
	times := map[string]int{}
	for _, message := range stored.Messages {
		times[message.ID]++
	}
	for id := range l.accepted {
		if times[id] != 1 {
			t.Errorf("message %s was accepted and is stored %d times", id, times[id])
		}
	}
	var overlaps struct {
		Count int `json:"count"`
	}
	l.ask(t, client, "/api/overlaps", &overlaps)
	if overlaps.Count != 0 {
		t.Errorf("two gateways ran on one data directory %d times", overlaps.Count)
	}
}

func (l *load) ask(t *testing.T, client *http.Client, path string, into any) {
	t.Helper()
	body, err := l.get(client, path)
	if err != nil {
		t.Fatalf("asking %s: %v", path, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("reading the answer of %s: %v", path, err)
	}
}
