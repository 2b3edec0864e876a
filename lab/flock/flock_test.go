package flock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain makes this program one that takes a lock, tells it, and sleeps.
func TestMain(m *testing.M) {
	if path := os.Getenv("HOLD"); path != "" {
		l, err := Try(path)
		fmt.Println(err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		l.Release()
		return
	}
	os.Exit(m.Run())
}

// holder is another process that has the lock.
func holder(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "HOLD="+path)
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(other) })
	answer := make([]byte, len("<nil>\n"))
	if _, err := io.ReadFull(out, answer); err != nil || string(answer) != "<nil>\n" {
		t.Fatalf("the other process says %q, %v", answer, err)
	}
	return other
}

// end is the worst way to end: nothing is given back.
func end(other *exec.Cmd) {
	_ = other.Process.Kill()
	_ = other.Wait() // it was killed
}

func TestTry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	other := holder(t, path)
	if _, err := Try(path); !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v while another process has the lock, want ErrHeld and the path", err)
	}
	end(other)
	l, err := Try(path)
	if err != nil {
		t.Fatalf("the other process has died, and its lock is held: %v", err)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v while this process has the lock, want ErrHeld", err)
	}
	l.Release()
	l.Release()
	again, err := Try(path)
	if err != nil {
		t.Fatalf("the lock was released: %v", err)
	}
	again.Release()
}

func TestWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	other := holder(t, path)
	const held = 3 * interval
	begin := time.Now()
	time.AfterFunc(held, func() { _ = other.Process.Kill() }) // at the test's end at the latest
	l, err := Wait(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if took := time.Since(begin); took < held {
		t.Errorf("it was taken after %v, while another process had it for %v", took, held)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("got %v while this process has the lock, want ErrHeld", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the user has had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(interval, func() { cancel(cause) })
	_, err = Wait(ctx, path)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "waiting for "+path+", which another process holds") {
		t.Errorf("got %v, want the cause and the path", err)
	}
	// Whoever gave up does not hold it.
	l.Release()
	again, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	want := func(what string, got bool, err error, want bool) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	taken, err := first.Exclusive()
	want("the first one alone", taken, err, true)
	taken, err = second.Shared()
	want("the second one beside it", taken, err, false)
	taken, err = first.Shared()
	want("the first one, shared from now on", taken, err, true)
	taken, err = second.Shared()
	want("the second one, shared as well", taken, err, true)
	taken, err = second.Exclusive()
	want("the second one alone, beside the first", taken, err, false)
	first.Release()
	taken, err = second.Exclusive()
	want("the second one alone, after the first", taken, err, true)
}

func open(t *testing.T, path string) *Lock {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	return l
}

func TestWithoutADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent", "lock")
	for name, take := range map[string]func() (*Lock, error){
		"open": func() (*Lock, error) { return Open(path) },
		"try":  func() (*Lock, error) { return Try(path) },
		"wait": func() (*Lock, error) { return Wait(t.Context(), path) },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := take(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want one that says that %s is missing", err, path)
			}
		})
	}
}
