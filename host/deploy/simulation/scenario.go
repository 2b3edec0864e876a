package simulation

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/release"
	"github.com/clawft/infra/signature"
)

// The owners of gateways in scenarios.
const (
	Us   = "0123456789abcdef"
	Them = "fedcba9876543210"
)

// Scenario is what happens on a machine when nothing goes wrong.
type Scenario struct {
	Name string
	// Before has happened already; nothing goes wrong meanwhile.
	Before func(*Script)
	// Act is what is looked at.
	Act func(*Script)
}

// Script does things on a machine from outside.
type Script struct{ world *World }

// Deployment is one that was begun.
type Deployment struct {
	id string
	// Report is there once it has ended.
	Report release.Report
	// lost says that the machine went down meanwhile: whoever asked has lost its connection.
	lost bool
	done chan struct{}
}

// Options say what is tried.
type Options struct {
	Seed   uint64
	Faults []Fault
	// Brief spares the last deployment, which shows that all is well again.
	Brief bool
	// Plant may change what effects do, by label.
	Plant func(label string) Plant
}

// Outcome is what came of it.
type Outcome struct {
	// Violation says which invariant was broken, and the last effects; "" if none was.
	Violation string
	// Effects are those of the act.
	Effects []Effect
	// Reports are of the act's deployments, in the order in which they began.
	Reports []release.Report
	// Runs is the identity of the release that runs at the end of the act, "" if none does.
	Runs string
	// Said are the lines that processes told.
	Said []string
}

// Effect is one that happened.
type Effect struct {
	// By is the kind of its process: deploy, run, recover or remove.
	By    string
	Label string
	// Changes says that it does more than ask, and Remote that it goes on when its process ends.
	Changes bool
	Remote  bool
}

// Simulate plays a scenario.
func Simulate(t *testing.T, s Scenario, o Options) (outcome Outcome) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(o.Seed)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.play(s, o)
		}()
		w.loop(done)
		w.shutDown(done)
		w.outcome.Violation = w.violation
		outcome = w.outcome
	})
	return outcome
}

func (w *World) play(s Scenario, o Options) {
	script := &Script{w}
	if s.Before != nil {
		s.Before(script)
	}
	script.call("the act begins", func() {
		w.number, w.faults, w.plant = 0, o.Faults, o.Plant
		w.deployments, w.trace = nil, nil
	})
	s.Act(script)
	script.wait()
	script.call("the act ends", func() {
		w.faults, w.outcome.Effects = nil, w.effects
		w.heal()
	})
	script.settle()
	script.call("the outcome", func() {
		w.number, w.plant = -1, nil
		if len(o.Faults) == 0 {
			w.tidy()
		}
		w.outcome.Said = w.said
		for _, d := range w.deployments {
			w.outcome.Reports = append(w.outcome.Reports, d.Report)
		}
		if c := w.running("gw"); c != nil {
			w.outcome.Runs = c.spec.Release.Env[identity]
		}
	})
	if o.Brief {
		return
	}
	last := Release("last", 9)
	if record, is := w.records["gw"]; is && record.Owner.ID != "" {
		last.Owner = record.Owner
	}
	report := script.Deploy(last)
	script.call("a last deployment is done", func() {
		if !report.OK() {
			w.violate("afterwards, nothing can be deployed: %s", report.Text())
		}
		if problem := w.settled(); problem != "" {
			w.violate("after a last deployment, %s", problem)
		}
		w.tidy()
	})
}

// settle waits until the machine is as it should be at the end.
func (s *Script) settle() {
	// A unit is tried again every two seconds, and a start takes its time.
	var problem string
	for range 60 {
		s.call("has it settled?", func() { problem = s.world.settled() })
		if problem == "" {
			return
		}
		time.Sleep(5 * time.Second)
	}
	s.call("it has not settled", func() { s.world.violate("at the end, %s", problem) })
}

// shutDown ends all goroutines.
func (w *World) shutDown(done <-chan struct{}) {
	w.off = true
	for _, p := range w.processes {
		p.kill()
	}
	for _, d := range w.all {
		d.finish()
	}
	for range 200 {
		synctest.Wait()
		w.collect()
		for _, e := range w.ready {
			e.done <- errDead
		}
		w.ready = nil
		select {
		case <-done:
			if len(w.inbox) == 0 {
				time.Sleep(time.Minute)
				synctest.Wait()
				if len(w.inbox) == 0 {
					return
				}
			}
		default:
			time.Sleep(time.Minute)
		}
	}
}

// call does something between two effects.
func (s *Script) call(label string, do func()) {
	e := &effect{label: label, do: func() error { do(); return nil }, done: make(chan error, 1)}
	s.world.enqueue(e)
	if <-e.done != nil {
		// The world has ended.
		runtime.Goexit()
	}
}

// Sleep lets time pass.
func (s *Script) Sleep(duration time.Duration) { time.Sleep(duration) }

// Image has the registry have an image that behaves so.
func (s *Script) Image(r release.Release, b Behaviour) {
	s.call("an image of "+r.Version+" is built", func() { s.world.registry.behaviours[r.Image] = b })
}

// Deploy has a release deployed, and waits.
func (s *Script) Deploy(r release.Release) release.Report {
	s.build(r)
	var d *Deployment
	s.call("a deployment begins", func() {
		s.world.wanted = &r
		d = s.world.begin("deploy", r.Owner, r)
		s.world.deployments = append(s.world.deployments, d)
	})
	<-d.done
	return d.Report
}

// Rollback has a gateway go back, and waits.
func (s *Script) Rollback(gateway string) release.Report {
	var d *Deployment
	s.call("a rollback begins", func() {
		d = s.world.begin("rollback", release.Owner{Gateway: gateway}, release.Release{})
		s.world.deployments = append(s.world.deployments, d)
	})
	<-d.done
	return d.Report
}

// Remove has a gateway removed, and again until that is done.
func (s *Script) Remove(owner release.Owner) {
	for range 20 {
		var p *Process
		var failure error
		s.call("a removal begins", func() {
			if s.world.off {
				return
			}
			p = s.world.spawn("remove", "remove", func(p *Process, host *deploy.Host) error {
				_, err := host.Remove(p.context, owner)
				failure = err
				return err
			})
		})
		if p != nil {
			<-p.gone
			if p.exit == nil && failure == nil {
				return
			}
		}
		s.call("healing", s.world.heal)
		time.Sleep(30 * time.Second)
	}
	s.call("giving up", func() { s.world.violate("a gateway cannot be removed") })
}

// Registry has the registry be gone, refuse every login, or take for ever.
func (s *Script) Registry(gone, refuses, slow bool) {
	s.call("the registry changes", func() {
		r := s.world.registry
		r.dead, r.refuses, r.slow = gone, refuses, slow
	})
}

// Proxy has so many requests never finish, and the proxy take no routes.
func (s *Script) Proxy(busy int, deaf bool) {
	s.call("the proxy changes", func() { s.world.gate.busy, s.world.gate.deaf = busy, deaf })
}

// Disk has the disk be full.
func (s *Script) Disk(full bool) {
	s.call("the disk changes", func() { s.world.disk.full = full })
}

// Foreign makes somebody else's container.
func (s *Script) Foreign(name string) {
	s.call("somebody makes a container", func() {
		s.world.engine.containers["theirs"] = &container{
			id: "theirs", ended: make(chan struct{}), info: deploy.ContainerInfo{ID: "theirs", Name: name, Image: "theirs", Running: true},
		}
	})
}

// Gone removes what Foreign made.
func (s *Script) Gone() {
	s.call("somebody removes a container", func() { delete(s.world.engine.containers, "theirs") })
}

// InTheWay has the machine's surroundings be so.
func (s *Script) InTheWay(found ...string) {
	s.call("something is in the way", func() { s.world.inTheWay = found })
}

// Write overwrites a file, or removes it.
func (s *Script) Write(name, content string) {
	s.call("somebody writes "+name, func() {
		parent := s.world.disk.parent(name)
		delete(parent.entries, path.Base(name))
		if content != "" {
			parent.entries[path.Base(name)] = &node{content: []byte(content), durable: []byte(content)}
		}
		parent.synced, parent.changes = maps.Clone(parent.entries), nil
	})
}

// Ask runs something that reads on the machine.
func (s *Script) Ask(do func(*deploy.Host)) {
	var p *Process
	s.call("somebody asks", func() {
		p = s.world.spawn("ask", "ask", func(_ *Process, host *deploy.Host) error { do(host); return nil })
	})
	<-p.gone
}

// Second has another release be deployed when a fault says so.
func (s *Script) Second(r release.Release) {
	s.build(r)
	s.call("another release is there", func() { s.world.second = &r })
}

// build has an image that is as it should be, if there is none yet.
func (s *Script) build(r release.Release) {
	s.call("an image", func() {
		if _, is := s.world.registry.behaviours[r.Image]; !is {
			s.world.registry.behaviours[r.Image] = Behaviour{Version: r.Version, Starts: 700 * time.Millisecond}
		}
	})
}

// wait waits for the deployments that faults began.
func (s *Script) wait() {
	for n := 0; ; n++ {
		var d *Deployment
		s.call("waiting", func() {
			if n < len(s.world.deployments) {
				d = s.world.deployments[n]
			}
		})
		if d == nil {
			return
		}
		<-d.done
	}
}

// begin starts a deployment's unit: after it ended, however, comes the recovery, and once more
// if that was killed.
func (w *World) begin(action string, owner release.Owner, r release.Release) *Deployment {
	w.count++
	d := &Deployment{id: fmt.Sprintf("d%d", w.count), done: make(chan struct{})}
	w.all = append(w.all, d)
	if w.off {
		d.lost = true
		d.finish()
		return d
	}
	p := w.spawn("deploy", d.id, func(p *Process, host *deploy.Host) error {
		if action == "rollback" {
			d.Report = host.Rollback(p.context, d.id, owner.Gateway)
		} else {
			d.Report = host.Deploy(p.context, d.id, r)
		}
		return nil
	})
	p.after = append(p.after, func() { w.recover(d, p.exit != nil, 2) })
	return d
}

func (w *World) recover(d *Deployment, killed bool, times int) {
	if w.off {
		d.lost = true
		d.finish()
		return
	}
	p := w.spawn("recover", "r"+d.id[1:], func(p *Process, host *deploy.Host) error {
		report, err := host.Recover(p.context, d.id)
		if killed {
			d.Report = report
		}
		return err
	})
	p.after = append(p.after, func() {
		if p.exit != nil && times > 1 {
			w.recover(d, killed, times-1)
			return
		}
		d.lost = d.lost || p.exit != nil
		d.finish()
	})
}

func (d *Deployment) finish() {
	select {
	case <-d.done:
	default:
		close(d.done)
	}
}

// Release is one that is right, by a name and a number that go into image and version.
func Release(name string, number int) release.Release {
	return release.Release{
		Owner:     release.Owner{ID: Us, Gateway: "gw", Stack: "acme/clawft/prod"},
		Image:     "ghcr.io/clawft/clawft@sha256:" + strings.Repeat("0", 60) + fmt.Sprintf("%04d", number),
		Version:   fmt.Sprintf("0.6.%d", number),
		Config:    json.RawMessage(`{"gateway":{"apiEnabled":true,"apiPort":8080}}`),
		Env:       map[string]string{identity: name, "KEY": "a secret of " + name},
		Signature: &signature.Image{Signature: []byte("good")},
		Port:      8080, MemoryMiB: 256, Pids: 64, HealthTimeout: 20, Watch: 3, Drain: 5, PullTimeout: 60,
	}
}
