package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clawft/infra/host/deploy"
)

const (
	restartPause = 2 * time.Second
	stopPatience = 90 * time.Second
	watchdog     = 30 * time.Second
)

// units are systemd's, of the kind Type=notify with Restart=always.
type units struct {
	world *World
	all   map[string]*unit
}

type unit struct {
	units   *units
	name    string
	enabled bool
	process *Process
	// active is true once the process has said that it is ready.
	active   bool
	alive    time.Time
	restarts int
	result   string
	// wanted is false when somebody stopped it.
	wanted bool
	// job is closed when the last job is done; problem says how.
	job     chan struct{}
	problem error
	// turn is another one with each start or stop, so that what was to happen later does not.
	turn int
}

func (u *units) get(name string) *unit {
	if u.all[name] == nil {
		u.all[name] = &unit{units: u, name: name, result: "success"}
	}
	return u.all[name]
}

// boot starts what is enabled.
func (u *units) boot() {
	for _, name := range slices.Sorted(maps.Keys(u.all)) {
		old := u.all[name]
		u.all[name] = &unit{units: u, name: name, result: "success", enabled: old.enabled}
		if old.enabled {
			u.all[name].restart()
		}
	}
}

// begin is a new job; the one before is canceled.
func (u *unit) begin() {
	u.finish(errors.New("the job was canceled"))
	u.turn++
	u.job, u.problem = make(chan struct{}), nil
}

func (u *unit) finish(problem error) {
	if u.job != nil {
		u.problem = problem
		close(u.job)
		u.job = nil
	}
}

func (u *unit) restart() {
	u.begin()
	u.wanted = true
	if u.process != nil {
		u.terminate()
		return
	}
	u.start()
}

func (u *unit) stop() {
	u.begin()
	u.wanted = false
	if u.process != nil {
		u.terminate()
		return
	}
	u.finish(nil)
}

// terminate sends a signal, and another one that nobody outlives.
func (u *unit) terminate() {
	p := u.process
	p.cancel(errors.New("terminated"))
	u.units.world.after(stopPatience, u.name+" is killed", p.kill)
}

func (u *unit) start() {
	place := strings.TrimSuffix(strings.TrimPrefix(u.name, "clawft@"), ".service")
	w := u.units.world
	u.active = false
	p := w.spawn("run", fmt.Sprintf("run %d", u.turn), func(p *Process, host *deploy.Host) error {
		return host.Run(p.context, place, notifierPort{p, u}, io.Discard)
	})
	u.process = p
	p.after = append(p.after, func() { u.exited(p) })
}

// exited is what systemd does when the main process is no more.
func (u *unit) exited(p *Process) {
	if u.process != p {
		return
	}
	wasActive := u.active
	u.process, u.active = nil, false
	u.result = "success"
	if p.exit != nil {
		u.result = "exit-code"
	}
	w := u.units.world
	if w.off {
		return
	}
	u.turn++
	switch {
	case !u.wanted:
		u.finish(nil)
	case p.context.Err() != nil && context.Cause(p.context).Error() == "terminated":
		u.start()
	case errors.Is(p.exit, deploy.ErrNothing):
		u.finish(p.exit)
	default:
		if !wasActive {
			u.finish(fmt.Errorf("job for %s failed", u.name))
		}
		turn := u.turn
		w.after(restartPause, u.name+" is started again", func() {
			if u.turn == turn && u.wanted && !w.off && u.units.all[u.name] == u {
				u.turn++
				u.restarts++
				u.start()
			}
		})
	}
}

// unitsPort is a process's way to systemd.
type unitsPort struct {
	*Process
	units *units
}

func (u unitsPort) Restart(ctx context.Context, name string) error {
	var it *unit
	var job chan struct{}
	if err := u.do("restart", true, func() error {
		it = u.units.get(name)
		u.world.interrupted(u.Process, it)
		it.restart()
		job = it.job
		return nil
	}); err != nil || job == nil {
		return err
	}
	if err := u.wait(ctx, job); err != nil {
		return err
	}
	return it.problem
}

func (u unitsPort) Stop(ctx context.Context, name string) error {
	var job chan struct{}
	if err := u.do("stop unit", true, func() error {
		it := u.units.get(name)
		it.stop()
		job = it.job
		return nil
	}); err != nil || job == nil {
		return err
	}
	return u.wait(ctx, job)
}

func (u unitsPort) Enable(_ context.Context, name string) error {
	return u.do("enable", true, func() error { u.units.get(name).enabled = true; return nil })
}

func (u unitsPort) Disable(_ context.Context, name string) error {
	return u.do("disable", true, func() error { u.units.get(name).enabled = false; return nil })
}

func (u unitsPort) State(_ context.Context, name string) (state deploy.UnitState, err error) {
	err = u.do("state", false, func() error {
		it := u.units.get(name)
		state = deploy.UnitState{Active: "inactive", Sub: "dead", Result: it.result, Restarts: it.restarts, Enabled: it.enabled}
		switch {
		case it.active:
			state.Active, state.Sub = "active", "running"
		case it.process != nil:
			state.Active, state.Sub = "activating", "start"
		}
		return nil
	})
	return state, err
}

// notifierPort is a unit's process's way to say how it is.
type notifierPort struct {
	process *Process
	unit    *unit
}

func (n notifierPort) Ready() error {
	return n.process.do("ready", true, func() error {
		n.unit.active, n.unit.alive = true, time.Now()
		n.unit.finish(nil)
		n.watch()
		return nil
	})
}

// watch kills a process that is not alive any more.
func (n notifierPort) watch() {
	n.unit.units.world.after(watchdog/2, "watchdog", func() {
		switch {
		case n.unit.process != n.process:
		case time.Since(n.unit.alive) > watchdog:
			n.process.kill()
		default:
			n.watch()
		}
	})
}

func (n notifierPort) Alive() error {
	return n.process.do("alive", true, func() error { n.unit.alive = time.Now(); return nil })
}

func (n notifierPort) Stopping() error { return nil }

func (n notifierPort) Status(string) error { return nil }
