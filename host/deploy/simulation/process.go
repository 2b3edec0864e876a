package simulation

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/clawft/infra/host/deploy"
	realdisk "github.com/clawft/infra/host/disk"
)

// errDead ends the goroutines of a process that was killed.
var errDead = errors.New("killed")

// Process is one on the machine.
type Process struct {
	world  *World
	number int
	// kind is deploy, run, recover or remove.
	kind string
	name string
	// context ends when the process is told to end.
	context context.Context
	cancel  context.CancelCauseFunc
	dead    bool
	ended   bool
	exit    error
	// gone is closed when it is no more, however it ended.
	gone  chan struct{}
	after []func()
}

// spawn starts a process.
func (w *World) spawn(kind, name string, main func(p *Process, host *deploy.Host) error) *Process {
	p := &Process{world: w, number: len(w.processes) + 1, kind: kind, name: name, gone: make(chan struct{})}
	p.context, p.cancel = context.WithCancelCause(context.Background())
	w.processes = append(w.processes, p)
	host := p.host()
	go func() {
		err := main(p, host)
		w.enqueue(&effect{label: name + " ends", done: make(chan error, 1), do: func() error {
			p.end(err)
			return nil
		}})
	}()
	return p
}

// end is what the kernel does when a process is no more.
func (p *Process) end(err error) {
	if p.ended {
		return
	}
	p.ended, p.dead, p.exit = true, true, err
	p.cancel(errDead)
	p.world.disk.freeLocks(p)
	p.world.gate.leave(p)
	p.world.engine.detach(p)
	close(p.gone)
	for _, do := range p.after {
		do()
	}
}

// kill ends it at once.
func (p *Process) kill() {
	if !p.ended {
		p.world.note(nil, "  ", p.name, " is killed")
		p.end(errDead)
	}
}

// do is how a process does anything: it waits for its turn.
func (p *Process) do(label string, changes bool, do func() error) error {
	e := &effect{by: p, label: label, changes: changes, do: do, done: make(chan error, 1)}
	p.world.enqueue(e)
	err := <-e.done
	if errors.Is(err, errDead) || p.dead {
		runtime.Goexit()
	}
	return err
}

// wait waits for something that happens elsewhere, if the process lives to see it.
func (p *Process) wait(ctx context.Context, what <-chan struct{}) error {
	select {
	case <-what:
	case <-ctx.Done():
	case <-p.gone:
		runtime.Goexit()
	}
	select {
	case <-what:
		return nil
	default:
		return context.Cause(ctx)
	}
}

// takes lets time pass.
func (p *Process) takes(ctx context.Context, duration time.Duration) error {
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// host is the machine as the process sees it.
func (p *Process) host() *deploy.Host {
	w := p.world
	return &deploy.Host{
		Engine: enginePort{p, w.engine}, Units: unitsPort{p, w.units}, Gate: gatePort{p, w.gate},
		Health: healthPort{p}, Verifier: verifierPort{p}, Surroundings: surroundingsPort{p},
		Snapshots: snapshotsPort{p, w.snapshots}, Disk: realdisk.Disk{System: diskPort{p, w.disk}},
		State: deploy.StateDirectory, Volatile: deploy.VolatileDirectory,
		Now:    func() time.Time { return time.Now().Add(w.wall) },
		Random: source{dice(uint64(p.number), 1)},
		Say:    func(line string) { w.say(p, line) },
	}
}

// say is what a process tells whoever waits.
func (w *World) say(p *Process, line string) {
	if !p.dead {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.said = append(w.said, p.name+": "+line)
	}
}

// source makes keys and names.
type source struct{ random *rand.Rand }

func (s source) Read(to []byte) (int, error) {
	for n := range to {
		to[n] = byte(s.random.Uint32())
	}
	return len(to), nil
}

var _ io.Reader = source{}
