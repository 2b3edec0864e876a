package site

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Log writes what the lab does, phase by phase, each with the time it took.
type Log struct {
	out    io.Writer
	start  time.Time
	phases []Phase
}

// Phase is a phase that has ended well.
type Phase struct {
	Name    string
	Started time.Time
	Elapsed time.Duration
}

// NewLog writes to out and counts time from now.
func NewLog(out io.Writer) *Log { return &Log{out: out, start: time.Now()} }

// Phase announces a phase and runs it.
func (l *Log) Phase(name string, run func() error) error {
	start := time.Now()
	fmt.Fprintf(l.out, "%-9s …\n", name)
	if err := run(); err != nil {
		fmt.Fprintf(l.out, "%-9s failed after %s\n", name, seconds(time.Since(start)))
		return err
	}
	phase := Phase{Name: name, Started: start, Elapsed: time.Since(start)}
	l.phases = append(l.phases, phase)
	fmt.Fprintf(l.out, "%-9s done in %s\n", name, seconds(phase.Elapsed))
	return nil
}

// Phases are the phases so far, in their order.
func (l *Log) Phases() []Phase { return slices.Clone(l.phases) }

// Printf writes a detail of the current phase.
func (l *Log) Printf(format string, args ...any) {
	fmt.Fprintf(l.out, "  "+format+"\n", args...)
}

// Elapsed is the time since the log began.
func (l *Log) Elapsed() time.Duration { return time.Since(l.start) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
