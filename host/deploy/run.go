package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/clawft/infra/host/disk"
	"github.com/clawft/infra/host/release"
)

// ErrNothing says that no release is to run. A unit whose process ends so is not started again.
var ErrNothing = errors.New("no release is to run here")

const (
	// aliveInterval is how often a gateway is asked that runs.
	aliveInterval = time.Second
	// stopTimeout ends the process of a unit whose engine hangs.
	stopTimeout = time.Minute
)

// runner is the process of a gateway's unit.
type runner struct {
	place
	notify Notifier
	output *tail
	record Record
	status Status
}

// Run is the main process of the unit of a place: it starts the current release, tells systemd
// when the gateway is healthy, and ends when the gateway does or, with nil, when the context does.
// What the gateway writes goes to output.
//
// A release that is not verified starts only while its deployment is under way. After a reboot
// or a kill it does not: Run goes back first. What an earlier process or engine left behind is
// stopped before anything starts.
func (h *Host) Run(ctx context.Context, name string, notify Notifier, output io.Writer) error {
	r := &runner{place: place{h, name}, notify: notify, output: &tail{to: output}}
	if err := r.Disk.MakeDir(r.volatile(), 0o755, rootIdentity); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.status = Status{Instance: r.random(), Generation: r.record.Generation, Release: r.record.Current, Phase: Starting}
	if before, err := r.place.status(); err == nil {
		r.status.Opened = before.Opened
		if before.Generation == r.status.Generation {
			r.status.Failure = before.Failure
		}
	}
	if r.record.Current == "" {
		if err := r.vacate(ctx, r.record); err != nil {
			return err
		}
		r.status.Phase = Ended
		r.publish()
		return ErrNothing
	}
	return r.run(ctx)
}

// settle reads what is to run, and goes back from a release that nobody verifies.
func (r *runner) settle(ctx context.Context) error {
	for {
		record, err := r.place.record()
		if err != nil {
			return err
		}
		r.record = record
		if record.Pending == nil {
			return nil
		}
		unlock, err := r.Disk.TryLock(r.lockFile())
		switch {
		case err == nil:
			err := r.abandon(ctx)
			unlock()
			if err != nil {
				return err
			}
		case !errors.Is(err, disk.ErrLocked):
			return err
		default:
			if here, err := r.Disk.Read(r.deploymentFile()); err == nil && string(here) == record.Pending.Deployment {
				return nil
			}
			// Another deployment has found it, and goes back.
			if err := sleep(ctx, checkInterval); err != nil {
				return err
			}
		}
	}
}

// abandon goes back from a release whose deployment is gone. It needs the lock.
func (r *runner) abandon(context.Context) error {
	// It may have been verified just before the lock was free.
	record, err := r.place.record()
	if err != nil || record.Pending == nil {
		return err
	}
	r.Say("a deployment did not finish: going back to " + or(record.Pending.Back, "nothing"))
	if err := r.Disk.Move(r.backFile(), r.recordFile()); err != nil {
		return r.write(r.recordFile(), record.back())
	}
	return nil
}

func (r *runner) run(ctx context.Context) error {
	rel, err := r.load(r.record.Current)
	if err != nil {
		return r.failed(ctx, unhealthy{why: err.Error()})
	}
	r.status.Version = rel.Version
	r.publish()
	if err := r.vacate(ctx, r.record); err != nil {
		return r.failed(ctx, unhealthy{why: err.Error()})
	}
	if r.record.Pending != nil {
		if err := r.Snapshots.Take(ctx, r.name, r.record.Current); err != nil {
			return r.failed(ctx, unhealthy{why: fmt.Sprintf("keeping the data as they are: %v", err)})
		}
	}
	id, err := r.create(ctx, r.container(), r.data(), rel)
	if err != nil {
		return r.failed(ctx, unhealthy{why: err.Error()})
	}
	failure := r.serve(ctx, id, rel)
	r.end(ctx, id)
	if failure == nil {
		return nil
	}
	return r.failed(ctx, *failure)
}

// serve starts the container and stays until it ends; nil says that the context did.
func (r *runner) serve(ctx context.Context, id string, rel release.Release) *unhealthy {
	r.Say("starting release " + r.record.Current)
	address, err := r.engine().Start(ctx, id, rel.Env, r.output)
	if err != nil {
		return &unhealthy{why: fmt.Sprintf("starting the container: %v", err)}
	}
	limit := rollbackTimeout
	if r.record.Pending != nil {
		limit = time.Duration(rel.HealthTimeout) * time.Second
	}
	at := netip.AddrPortFrom(address, uint16(rel.Port))
	if failure := r.becomes(ctx, id, at, rel, limit); failure != nil {
		return failure
	}
	r.status.Phase, r.status.Container, r.status.Upstream = Healthy, id, at
	r.route(ctx, r.front(r.record, rel.Owner.Gateway))
	r.publish()
	if err := r.notify.Ready(); err != nil {
		return &unhealthy{why: fmt.Sprintf("telling systemd: %v", err)}
	}
	return r.stay(ctx, id, rel)
}

// stay waits for the end of a gateway that is healthy.
func (r *runner) stay(ctx context.Context, id string, rel release.Release) *unhealthy {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := r.ended(waiting, id, rel)
	for {
		select {
		case <-ctx.Done():
			return nil
		case failure := <-ended:
			return &failure
		case <-time.After(aliveInterval):
		}
		record, err := r.place.record()
		if err == nil && r.obsolete(record) {
			return nil
		}
		if r.route(ctx, r.front(record, rel.Owner.Gateway)) {
			r.publish()
		}
		// Not to say so is to be killed, after a while.
		if version, err := r.Health.Check(ctx, r.status.Upstream); err == nil && version == rel.Version {
			_ = r.notify.Alive()
		}
	}
}

// obsolete tells whether what runs is not what should: whoever said so was stopped before it could
// restart the unit, or nobody verifies this release any more. The unit's next process knows what to do.
func (r *runner) obsolete(record Record) bool {
	if record.Generation == r.record.Generation && record.Pending == nil {
		return false
	}
	if record.Generation == r.record.Generation {
		unlock, err := r.Disk.TryLock(r.lockFile())
		if err != nil {
			return false
		}
		defer unlock()
		// It may have been verified just before the lock was free.
		if record, err = r.place.record(); err != nil || record.Pending == nil {
			return false
		}
	}
	r.Say("release " + r.record.Current + " is not to run any more")
	return true
}

// route tells the proxy where the gateway is, and by which name, time and again: the proxy may
// be another process by now, and the gateway may have been renamed. It tells whether the status
// has changed.
func (r *runner) route(ctx context.Context, name string) bool {
	before := r.status
	bounded, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	r.status.Routed = ""
	if r.Gate.Route(bounded, name, r.status.Upstream) == nil {
		r.status.Routed = name
		if old := before.Opened; old == "" || old == name || r.Gate.Close(bounded, old) == nil {
			r.status.Opened = name
		}
	}
	return r.status.Routed != before.Routed || r.status.Opened != before.Opened
}

// end stops and removes the container. It does so also when the context has ended.
func (r *runner) end(ctx context.Context, id string) {
	r.status.Phase = Ended
	r.publish()
	if ctx.Err() != nil {
		_ = r.notify.Stopping()
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	// What is left of it, the next start removes.
	if r.engine().Stop(ending, id) == nil {
		_ = r.engine().Remove(ending, id)
	}
}

// failed says why the gateway does not run, and returns it. What fails because the process is
// told to end has not failed.
func (r *runner) failed(ctx context.Context, failure unhealthy) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end is wanted
	}
	count := 1
	if before := r.status.Failure; before != nil {
		count += before.Count
	}
	r.status.Phase = Ended
	r.status.Failure = &Failure{
		Cause: failure.cause(r.output.last()), Log: r.output.last(), Ended: failure.ended, Count: count,
		// Of an engine that does not answer, nothing follows about the gateway.
		Gateway: !failure.engine && r.answers(ctx),
	}
	r.publish()
	return errors.New(failure.why)
}

func (r *runner) answers(ctx context.Context) bool {
	_, err := r.engine().Ping(ctx)
	return err == nil
}

// publish writes the status. Who waits for it and does not get it gives up.
func (r *runner) publish() {
	if err := r.putStatus(r.status); err != nil {
		r.Say(err.Error())
	}
	_ = r.notify.Status(string(r.status.Phase) + " " + r.status.Release)
}
