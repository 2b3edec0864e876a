package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// endless is how long a world may stand still before that is a fault of its own.
const endless = 2 * time.Hour

// traceLength is how many effects of an act are shown.
const traceLength = 400

// World is one machine and what it can reach.
type World struct {
	random *rand.Rand

	mutex sync.Mutex
	inbox []*effect
	wake  chan struct{}
	ready []*effect

	// number counts the effects since the faults were armed; -1 before.
	number int
	faults []Fault
	// plant may change what an effect does.
	plant func(label string) Plant
	late  []*effect
	// trace has the first effects of the act.
	trace     []line
	violation string
	outcome   Outcome
	effects   []Effect
	// all are the deployments that were begun.
	all   []*Deployment
	count int

	processes []*Process
	boot      int
	wall      time.Duration

	disk      *disk
	engine    *engine
	units     *units
	gate      *gate
	registry  *registry
	snapshots *snapshots
	invariants
}

// effect is a call that waits for its turn.
type effect struct {
	by      *Process
	label   string
	changes bool
	do      func() error
	done    chan error
}

func newWorld(seed uint64) *World {
	w := &World{random: dice(seed, 0), wake: make(chan struct{}, 1), number: -1}
	w.disk = newDisk(w)
	w.engine = &engine{world: w, containers: map[string]*container{}, images: map[string]bool{}, died: make(chan struct{})}
	w.units = &units{world: w, all: map[string]*unit{}}
	w.gate = &gate{world: w, routes: map[string]string{}, holds: map[string]*Process{}}
	w.registry = &registry{behaviours: map[string]Behaviour{}}
	w.snapshots = &snapshots{world: w, taken: map[string][]string{}}
	w.invariants = newInvariants()
	return w
}

// dice come down the same way for the same seed.
func dice(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // a schedule is no secret, and has to be played again
}

// line is one of a trace. Hardly any is ever read, so it is put together only then.
type line struct {
	number int
	at     time.Duration
	text   [4]string
	err    error
}

func (l line) String() string {
	text := fmt.Sprintf("%4d %8s %s", l.number, l.at.Truncate(time.Millisecond), strings.Join(l.text[:], ""))
	if l.err != nil {
		text += ": " + l.err.Error()
	}
	return text
}

// violate notes the first thing that must not be.
func (w *World) violate(format string, args ...any) {
	if w.violation == "" {
		w.violation = fmt.Sprintf(format, args...)
		for _, l := range w.trace {
			w.violation += "\n  " + l.String()
		}
	}
}

func (w *World) note(err error, text ...string) {
	if len(w.trace) < traceLength {
		l := line{number: w.number, at: time.Since(epoch), err: err}
		copy(l.text[:], text)
		w.trace = append(w.trace, l)
	}
}

// epoch is when every synctest bubble begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// enqueue has an effect wait for its turn.
func (w *World) enqueue(e *effect) {
	w.mutex.Lock()
	w.inbox = append(w.inbox, e)
	w.mutex.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// after has something happen by itself, after a while.
func (w *World) after(duration time.Duration, label string, do func()) {
	time.AfterFunc(duration, func() {
		w.enqueue(&effect{label: label, do: func() error { do(); return nil }, done: make(chan error, 1)})
	})
}

// loop lets one effect after the other happen, until done says so.
func (w *World) loop(done <-chan struct{}) {
	for w.violation == "" {
		synctest.Wait()
		w.collect()
		if len(w.ready) == 0 {
			select {
			case <-done:
				return
			case <-w.wake:
			case <-time.After(endless):
				w.violate("nothing happens any more, and it is not done")
			}
			continue
		}
		n := 0
		if len(w.ready) > 1 {
			n = w.random.IntN(len(w.ready))
		}
		e := w.ready[n]
		w.ready = slices.Delete(w.ready, n, n+1)
		w.step(e)
	}
}

// collect takes what waits for its turn, in an order that does not depend on Go's scheduler.
func (w *World) collect() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	slices.SortStableFunc(w.inbox, func(a, b *effect) int {
		if a.number() != b.number() {
			return a.number() - b.number()
		}
		return strings.Compare(a.label, b.label)
	})
	w.ready = append(w.ready, w.inbox...)
	w.inbox = nil
}

func (e *effect) number() int {
	if e.by == nil {
		return 0
	}
	return e.by.number
}

// step lets one effect happen, and before it what goes wrong.
func (w *World) step(e *effect) {
	if e.by != nil && e.by.dead {
		e.done <- errDead
		return
	}
	if e.by != nil && w.number >= 0 {
		for _, f := range w.faults {
			if f.At == w.number {
				w.note(nil, "FAULT ", string(f.Kind)+" before ", e.by.name+" ", e.label)
				if w.strike(f, e) {
					w.number++
					w.check()
					return
				}
			}
		}
		w.number++
		w.effects = append(w.effects, Effect{By: e.by.kind, Label: e.label, Changes: e.changes && e.label != "alive", Remote: e.remote()})
	}
	w.perform(e)
}

func (w *World) perform(e *effect) {
	var err error
	plant := As
	if e.by != nil && e.changes && w.number >= 0 {
		if w.plant != nil {
			plant = w.plant(e.label)
		}
	}
	switch plant {
	case Dropped:
	case Deferred:
		w.late = append(w.late, e)
		e.done <- nil
		return
	default:
		err = e.do()
	}
	// What a gateway's process does all the time says nothing.
	if e.by != nil && (e.changes || err != nil || e.by.kind != "run") && e.label != "alive" && !(e.by.kind == "run" && strings.HasPrefix(e.label, "route") && err == nil && w.number < 0) {
		w.note(err, e.by.name, " ", e.label, string(plant))
	} else if e.by == nil && e.label != "watchdog" {
		w.note(nil, "  ", e.label)
	}
	w.check()
	e.done <- err
	if e.changes || e.by == nil {
		late := w.late
		w.late = nil
		for _, l := range late {
			w.note(nil, "late ", l.label)
			_ = l.do()
			w.check()
		}
	}
}

// Plant is what becomes of an effect.
type Plant string

const (
	// As is as it should be.
	As Plant = ""
	// Dropped does not happen, and nobody is told.
	Dropped Plant = " DROPPED"
	// Deferred happens after the next change.
	Deferred Plant = " DEFERRED"
)

// remote tells whether an effect is somebody else's work, which goes on when the process ends.
func (e *effect) remote() bool {
	for _, own := range []string{"write", "mkdir", "rename", "unlink", "sync", "lock", "unlock", "hold", "ready", "alive", "take", "restore", "prune snapshots"} {
		if strings.HasPrefix(e.label, own+" ") || e.label == own {
			return false
		}
	}
	return e.changes
}
