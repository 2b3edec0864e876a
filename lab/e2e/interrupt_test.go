package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// interrupted ends an `up` at several moments, in both ways, and runs it again.
// The first two find no machine at all, so that creating one is interrupted too.
func interrupted(t *testing.T) {
	moments := []struct {
		mark   string // what the run prints just before it is ended
		signal syscall.Signal
		fresh  bool
	}{
		{"access-key", syscall.SIGKILL, true},
		{"gw-1-server", syscall.SIGINT, false},
		{"gw-1-ready", syscall.SIGKILL, false},
		{"gw-1-bootstrap", syscall.SIGINT, false},
		{"gw-1-release", syscall.SIGKILL, false},
	}
	for _, moment := range moments {
		t.Run(fmt.Sprintf("%s after %s", moment.signal, moment.mark), func(t *testing.T) {
			if moment.fresh {
				tested.must(t, "down")
			}
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
		t.Logf("the run ended before it printed %q: %v", mark, err)
		return
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

// watched collects output and tells when a mark has been written.
type watched struct {
	bytes.Buffer
	mark string
	seen chan struct{}
	done bool
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if !w.done && strings.Contains(w.Buffer.String(), w.mark) {
		w.done = true
		close(w.seen)
	}
	return n, err
}
