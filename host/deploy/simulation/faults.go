package simulation

import (
	"errors"
	"syscall"
	"time"

	"github.com/clawft/infra/host/release"
)

// Fault is what goes wrong before an effect.
type Fault struct {
	// At is the number of the effect, of all processes, since the scenario's act began.
	At   int
	Kind Kind
}

// Kind is a kind of fault.
type Kind string

// The faults. Late is a process that is killed while what it has asked for is still under way, and
// happens all the same; Gone stays until the deployment has ended, and is healed then.
const (
	KillDeployer     Kind = "the deployment is killed"
	KillDeployerLate Kind = "the deployment is killed, and what it asked for happens later"
	KillRunner       Kind = "the unit's process is killed"
	KillRunnerLate   Kind = "the unit's process is killed, and what it asked for happens later"
	KillRecovery     Kind = "the recovery is killed"
	PowerCut         Kind = "the power is cut"
	DiskFull         Kind = "the disk is full"
	EngineDies       Kind = "the engine dies with its containers"
	EngineCrashes    Kind = "the engine dies, its containers live"
	EngineGone       Kind = "the engine is gone"
	EngineHangs      Kind = "the engine hangs"
	RegistryGone     Kind = "the registry is gone"
	ProxyDies        Kind = "the proxy dies"
	ProxyGone        Kind = "the proxy is gone"
	ClockJumps       Kind = "the clock jumps"
	ClientGone       Kind = "whoever asked goes away"
	Second           Kind = "another deployment begins"
	SameAgain        Kind = "the same deployment begins again"
	Fails            Kind = "it fails"
	FailsAfterwards  Kind = "it happens and fails"
)

// Kinds are all of them.
var Kinds = []Kind{
	KillDeployer, KillDeployerLate, KillRunner, KillRunnerLate, KillRecovery, PowerCut, DiskFull, EngineDies, EngineCrashes,
	EngineGone, EngineHangs, RegistryGone, ProxyDies, ProxyGone, ClockJumps, ClientGone, Second, SameAgain, Fails, FailsAfterwards,
}

// strike has something go wrong. It tells whether the effect that was next does not happen any more.
func (w *World) strike(f Fault, next *effect) (gone bool) {
	w.struck[f.Kind]++
	switch f.Kind {
	case KillDeployer:
		w.killAll("deploy")
	case KillRunner:
		w.killAll("run")
	case KillRecovery:
		w.killAll("recover")
	case KillDeployerLate, KillRunnerLate:
		w.killAll(map[Kind]string{KillDeployerLate: "deploy", KillRunnerLate: "run"}[f.Kind])
		// What a process does to the disk, it does itself.
		if next.by.dead && next.remote() {
			w.late = append(w.late, &effect{label: next.label + " (of a process that is dead)", do: next.do})
		}
	case PowerCut:
		w.cutPower()
	case DiskFull:
		w.disk.full = true
	case EngineDies:
		w.engine.die(false)
		w.after(5*time.Second, "the engine is back", w.engine.live)
	case EngineCrashes:
		w.engine.die(true)
		w.after(5*time.Second, "the engine is back", w.engine.live)
	case EngineGone:
		w.engine.die(w.random.IntN(2) == 0)
		w.mostly(func() { w.after(absence, "the engine is back", w.engine.live) })
	case EngineHangs:
		w.engine.hangs = true
		w.after(70*time.Second, "the engine goes on", w.engine.live)
	case RegistryGone:
		w.registry.dead = true
	case ProxyDies:
		w.gate.die()
		w.after(3*time.Second, "the proxy is back", func() { w.gate.dead = false })
	case ProxyGone:
		w.gate.die()
		w.mostly(func() { w.after(absence, "the proxy is back", func() { w.gate.dead = w.off }) })
	case ClockJumps:
		w.wall += time.Duration(w.random.IntN(2)*2-1) * 24 * 365 * time.Hour
	case ClientGone:
		for _, p := range w.processes {
			if p.kind == "deploy" && !p.ended {
				p.cancel(errors.New("who asked for it went away"))
			}
		}
	case Second:
		w.another(w.second)
	case SameAgain:
		w.another(w.wanted)
	case Fails:
		next.done <- syscall.EIO
		w.note(syscall.EIO, next.by.name, " ", next.label)
		return true
	case FailsAfterwards:
		if err := next.do(); err != nil {
			next.done <- err
		} else {
			next.done <- syscall.EIO
		}
		w.note(syscall.EIO, next.by.name, " ", next.label, ", and happens")
		return true
	}
	if next.by.dead {
		next.done <- errDead
		return true
	}
	return false
}

// absence is longer than a deployment waits for a new release.
const absence = 100 * time.Second

// mostly does something in seven of eight cases: until a deployment gives up, much happens.
func (w *World) mostly(do func()) {
	if w.random.IntN(8) > 0 {
		do()
	}
}

func (w *World) another(r *release.Release) {
	if r != nil {
		w.deployments = append(w.deployments, w.begin("deploy", r.Owner, *r))
	}
}

func (w *World) killAll(kind string) {
	for _, p := range w.processes {
		if p.kind == kind {
			p.kill()
		}
	}
}

// cutPower ends everything at once, and boots a little later.
func (w *World) cutPower() {
	w.off = true
	w.boot++
	for _, p := range w.processes {
		p.kill()
	}
	w.disk.cut()
	w.late = nil
	w.engine.live()
	w.engine.endAll()
	w.gate.die()
	w.gate.routes = map[string]string{}
	w.after(5*time.Second, "the machine boots", func() {
		w.off, w.gate.dead = false, false
		w.units.boot()
	})
}

// heal ends what does not end by itself.
func (w *World) heal() {
	w.disk.full, w.registry.dead, w.gate.dead = false, false, w.off
	w.engine.live()
}
