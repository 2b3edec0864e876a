package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// interrupted ends an `up` of nothing at several moments, in both ways, and each
// time the next one goes on from there.
func interrupted(t *testing.T) {
	tested.must(t, "down")
	for _, moment := range []struct {
		mark   string // what the run prints just before it is ended
		signal syscall.Signal
	}{
		{"access-key", syscall.SIGKILL},
		{"gw-1-server", syscall.SIGINT},
		{"gw-2-bootstrap", syscall.SIGKILL},
		{"gw-2-release", syscall.SIGINT},
	} {
		t.Run(fmt.Sprintf("%s after %s", moment.signal, moment.mark), func(t *testing.T) {
			endAt(t, moment.mark, moment.signal)
		})
	}
	tested.must(t, up("--version", second)...)
	tested.wantVersion(t, second)

	// An update that is ended while hosts swap.
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(fmt.Sprintf("%s during an update", signal), func(t *testing.T) {
			endAt(t, "gateway-build", signal)
			tested.must(t, up("--version", second)...)
			tested.wantVersion(t, second)
		})
	}
}

// endAt starts an `up` and signals it when it has printed a mark and a little
// time has passed.
func endAt(t *testing.T, mark string, signal syscall.Signal) {
	t.Helper()
	output := &watched{mark: mark, seen: make(chan struct{})}
	command := tested.command(t.Context(), up("--version", broken)...)
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case <-output.seen:
	case err := <-ended:
		t.Fatalf("the run ended before it printed %q: %v\n%s", mark, err, output.String())
	case <-time.After(3 * time.Minute):
		t.Fatalf("the run did not print %q\n%s", mark, output.String())
	}
	time.Sleep(500 * time.Millisecond)
	if err := command.Process.Signal(signal); err != nil {
		t.Fatalf("signalling the run: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatalf("the run did not end after %s\n%s", signal, output.String())
	}
}

// watched collects output and tells when a mark has been written. It must not
// be a bytes.Buffer itself, whose ReadFrom would be used instead of Write.
type watched struct {
	mark string
	seen chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
	done   bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.output.Write(p)
	if !w.done && strings.Contains(w.output.String(), w.mark) {
		w.done = true
		close(w.seen)
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.output.String()
}
