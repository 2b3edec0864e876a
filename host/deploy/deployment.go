package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/clawft/infra/host/release"
)

const (
	// patience is how long a lock is waited for before that is said.
	patience = 5 * time.Second
	// lockTimeout is how long other deployments may take.
	lockTimeout = time.Hour
	// undoTimeout ends what goes back, whatever hangs: holding, stopping and starting take less.
	undoTimeout = 10 * time.Minute
)

// deployment is one attempt to have a release run.
type deployment struct {
	place
	id    string
	owner release.Owner

	began  time.Time
	report release.Report
	// before is what the place says before the swap.
	before Record
	// release is to run; new is its ID.
	release release.Release
	new     string
	// old is what runs, nil if nothing does.
	old *release.Release
	// status is the new gateway's, once it is healthy.
	status Status
	// undo goes back to what was before, the last one first.
	undo []func(context.Context)
	// held is when requests began to wait.
	held     time.Time
	redactor release.Redactor
}

// Deploy makes a release the running one, or leaves everything as it was. The deployment's name
// is its own on this host. When the context ends, the deployment is undone: nobody would
// learn of a success. One deployment of a place runs at a time; another one waits for it.
//
// After a process that was killed in here, Recover has to be called.
func (h *Host) Deploy(ctx context.Context, id string, r release.Release) release.Report {
	d := h.newDeployment(id, "deploy", r.Owner)
	if err := r.Validate(); err != nil {
		return d.fail(ctx, refusal{err.Error()})
	}
	return d.do(ctx, func() (release.Release, error) { return r, nil })
}

// Rollback deploys what ran before the current release of a gateway.
func (h *Host) Rollback(ctx context.Context, id, gateway string) release.Report {
	record, err := h.find(gateway)
	if err != nil {
		return h.newDeployment(id, "rollback", release.Owner{Gateway: gateway}).fail(ctx, refusal{err.Error()})
	}
	d := h.newDeployment(id, "rollback", record.Owner)
	return d.do(ctx, func() (release.Release, error) {
		if d.before.Previous == "" {
			return release.Release{}, errors.New("no other release ran here before: deploy the version that is wanted")
		}
		r, err := d.load(d.before.Previous)
		// Whoever has taken the gateway over since has this one, too.
		r.Owner = d.before.Owner
		return r, err
	})
}

func (h *Host) newDeployment(id, action string, owner release.Owner) *deployment {
	return &deployment{
		place: place{h, owner.Gateway}, id: id, owner: owner, began: time.Now(),
		report: release.Report{Deployment: id, Action: action, Gateway: owner.Gateway, At: h.Now().UTC()},
	}
}

// do deploys what wanted returns, which is asked once it is known what is here.
func (d *deployment) do(ctx context.Context, wanted func() (release.Release, error)) release.Report {
	unlock, err := d.lock(ctx)
	if err != nil {
		return d.fail(ctx, refusal{err.Error()})
	}
	defer unlock()
	// Who looks later sees that this one ended by itself.
	defer func() { _ = d.Disk.RemoveAll(d.deploymentFile()) }()
	if err := d.begin(ctx, wanted); err != nil {
		return d.fail(ctx, err)
	}
	if err := d.steps(ctx); err != nil {
		return d.fail(ctx, err)
	}
	d.note(d.prune(context.WithoutCancel(ctx)))
	return d.report
}

// lock takes the lock of the place that the owner's gateway is to have.
func (d *deployment) lock(ctx context.Context) (unlock func(), err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, lockTimeout, errors.New("another deployment was still under way after an hour"))
	defer cancel()
	for {
		p, err := d.admit(d.owner)
		if err != nil {
			return nil, err
		}
		d.place = p
		if unlock, err = d.patient(waiting); err != nil {
			return nil, err
		}
		// Who had the lock may have changed whose it is.
		again, err := d.admit(d.owner)
		if err == nil && again.name == d.name {
			return unlock, nil
		}
		unlock()
		if err != nil {
			return nil, err
		}
	}
}

// patient takes the lock, and says so if that takes long.
func (d *deployment) patient(ctx context.Context) (unlock func(), err error) {
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unlock, err = d.Disk.Lock(soon, d.lockFile())
	if err == nil || soon.Err() == nil || ctx.Err() != nil {
		return unlock, err
	}
	d.say("another deployment is under way: waiting for it")
	return d.Disk.Lock(ctx, d.lockFile())
}

// begin sees that a deployment may be tried, ends one that did not finish, and makes the place
// where there is none.
func (d *deployment) begin(ctx context.Context, wanted func() (release.Release, error)) error {
	// The gateway's unit starts what is not verified only for the deployment that is named here.
	if err := d.Disk.Put(d.deploymentFile(), []byte(d.id), 0o600); err != nil {
		return refusal{err.Error()}
	}
	if _, err := d.engine().Ping(ctx); err != nil {
		return refusal{fmt.Sprintf("the Docker engine does not answer: %v", err)}
	}
	_, _, foreign, err := d.containers(ctx)
	if err == nil {
		err = free(foreign, d.container(), d.preflightContainer())
	}
	if err != nil {
		return refusal{err.Error()}
	}
	if d.before, err = d.settle(ctx); err != nil {
		return err
	}
	if d.release, err = wanted(); err != nil {
		return refusal{err.Error()}
	}
	d.report.To = &release.Reported{Image: d.release.Image, Version: d.release.Version}
	d.redactor = release.NewRedactor(d.release)
	if d.before.Current != "" {
		old, err := d.load(d.before.Current)
		if err != nil {
			return err
		}
		d.old, d.report.From = &old, &release.Reported{ID: d.before.Current, Image: old.Image, Version: old.Version}
		d.redactor = release.NewRedactor(d.release, old)
	}
	if err := d.Disk.MakeDir(d.data(), 0o700, GatewayIdentity); err != nil {
		return err
	}
	if d.before.Key == nil {
		d.before.Key = d.bytes(32)
		if err := d.write(d.recordFile(), d.before); err != nil {
			return err
		}
	}
	if found := d.Surroundings.Check(ctx, d.data()); len(found) > 0 {
		return fmt.Errorf("this machine cannot run the gateway: %s", strings.Join(found, "; "))
	}
	return nil
}

// settle ends what an earlier deployment left, and returns the record of what is to run.
func (d *deployment) settle(ctx context.Context) (Record, error) {
	if err := d.clearPreflight(ctx); err != nil {
		return Record{}, err
	}
	record, err := d.place.record()
	if err != nil {
		return record, err
	}
	if record.Pending != nil {
		d.say("an earlier deployment did not finish: going back to what ran before it")
		back, problem := d.back(ctx, record)
		switch {
		case back.Pending != nil:
			return record, fmt.Errorf("going back to what ran before an earlier deployment: %w", problem)
		case problem != nil:
			d.say("what ran before is not healthy: %v", problem)
		}
		return back, nil
	}
	if d.astray(record) {
		d.say("what runs is not what was verified: starting that")
		if err := d.again(ctx, record); err != nil {
			d.say("it is not healthy: %v", err)
		}
	}
	return record, nil
}

// steps does one step after the other. Each says how it is undone before its first effect.
func (d *deployment) steps(ctx context.Context) error {
	took := &d.report.Took
	for _, step := range []struct {
		took *release.Seconds
		do   func(context.Context) error
	}{
		{&took.Stage, d.stage},
		{&took.Verify, d.verify},
		{nil, d.compare},
		{&took.Pull, d.pull},
		{&took.Preflight, d.preflight},
		{&took.Hold, d.hold},
		{&took.Swap, d.swap},
		{&took.Watch, d.watch},
		{nil, d.commit},
	} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		started := time.Now()
		err := step.do(ctx)
		if step.took != nil {
			*step.took = release.Seconds(time.Since(started))
		}
		if err != nil {
			return err
		}
		if d.report.Result == release.Unchanged {
			break
		}
	}
	return nil
}

// onFailure says how to undo what comes next.
func (d *deployment) onFailure(undo func(context.Context)) { d.undo = append(d.undo, undo) }

// fail undoes what was done, and reports. After a refusal there is nothing to undo, and the
// place may be another deployment's.
func (d *deployment) fail(ctx context.Context, err error) release.Report {
	r := &d.report
	r.Result, r.Cause, r.Back = release.Failed, d.redactor.Redact(err.Error()), "nothing was changed"
	if ctx.Err() != nil {
		r.Cause = fmt.Sprintf("the deployment was stopped: %v", context.Cause(ctx))
	}
	var gateway *failed
	if errors.As(err, &gateway) {
		for _, line := range gateway.log {
			r.Log = append(r.Log, d.redactor.Redact(line))
		}
	}
	defer func() { r.Took.Total = release.Seconds(time.Since(d.began)) }()
	var refused refusal
	if errors.As(err, &refused) {
		return *r
	}
	if d.old != nil {
		r.Back += ": release " + d.old.Version + " was not touched"
	}
	undoing, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	for n := len(d.undo) - 1; n >= 0; n-- {
		d.undo[n](undoing)
	}
	d.note(d.prune(undoing))
	r.Took.Total = release.Seconds(time.Since(d.began))
	d.note(d.tell(*r))
	return *r
}

// tell puts a report into the history of a place that has one.
func (p place) tell(report release.Report) error {
	record, err := p.record()
	if err != nil || record.Key == nil {
		return err
	}
	return p.write(p.recordFile(), record.told(report))
}

// note reports what does not fail a deployment.
func (d *deployment) note(err error) {
	if err != nil {
		d.report.Notes = append(d.report.Notes, d.redactor.Redact(err.Error()))
	}
}

// say tells what is done, without secrets.
func (d *deployment) say(format string, args ...any) {
	d.Say(d.redactor.Redact(fmt.Sprintf(format, args...)))
}
