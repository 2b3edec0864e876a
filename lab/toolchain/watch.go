package toolchain

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// tailLines is how much of a failed build's output an error shows.
const tailLines = 20

// watch reads what `go build -v` writes: one line for each module it downloads,
// one for each package it compiles, and the compiler's complaints.
type watch struct {
	start time.Time

	mu         sync.Mutex
	rest       []byte // the beginning of a line
	downloads  int
	packages   int
	complaints []string
}

// Write takes the build's output.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.rest = rest
		w.line(string(line))
	}
}

func (w *watch) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		w.downloads++
	case line != "" && !strings.ContainsAny(line, " \t:"):
		w.packages++
	default:
		w.complaints = append(w.complaints, line)
	}
}

// report says every so often how far the build is, until stop is called.
func (w *watch) report(name string, interval time.Duration, progress Progress) (stop func()) {
	return every(interval, func() { progress("building %s: %s so far, %s", name, w.elapsed(), w.done()) })
}

// every calls a function again and again, until stop is called.
func every(interval time.Duration, call func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				call()
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (w *watch) done() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.packages == 0 {
		return fmt.Sprintf("%d modules downloaded", w.downloads)
	}
	return fmt.Sprintf("%d packages compiled", w.packages)
}

func (w *watch) elapsed() time.Duration { return time.Since(w.start).Round(time.Second) }

// tail is the end of the compiler's complaints.
func (w *watch) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.complaints
	if len(w.rest) > 0 {
		lines = append(lines, string(w.rest))
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
