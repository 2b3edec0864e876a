package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// rollbackTimeout is how long a release that was healthy before may take to be so again, and
	// rollbackTries how often it may fail meanwhile: an engine that comes back is moody.
	rollbackTimeout = 180 * time.Second
	rollbackTries   = 3
	// rollbackDrain is how long a release that is no good may take for its last requests.
	rollbackDrain = 10 * time.Second
)

// goBack undoes a swap, as far as there was one.
func (d *deployment) goBack(ctx context.Context) {
	record, err := d.place.record()
	// What cannot be read may well be the new one.
	if err == nil && record.Generation == d.before.Generation {
		return
	}
	pending := d.before.swapped(d.id, d.new)
	d.say("going back")
	if d.held.IsZero() {
		d.held = time.Now()
	}
	_, err = d.back(ctx, pending)
	d.report.Back, d.report.Down = d.outcome(pending, err)
}

// back puts back what ran before a release that is pending: the release before, or nothing. With
// an error it is not healthy, or, if the record that is returned is still pending, not put back.
func (p place) back(ctx context.Context, pending Record) (Record, error) {
	record := pending.back()
	letGo := p.holdAgain(ctx, record)
	defer letGo()
	if err := p.Disk.Move(p.backFile(), p.recordFile()); err != nil {
		if err := p.write(p.recordFile(), record); err != nil {
			return pending, err
		}
	}
	if record.Current == "" {
		return record, p.rest(ctx, record)
	}
	_, err := p.start(ctx, record, rollbackTimeout, rollbackTries)
	return record, err
}

// holdAgain holds requests while what ran before is started.
func (p place) holdAgain(ctx context.Context, record Record) (letGo func()) {
	front := p.front(record, p.name)
	// Without the proxy, nobody asks anything.
	_, _ = p.takeHold(ctx, front, rollbackDrain)
	return func() {
		bounded, cancel := context.WithTimeout(ctx, routeTimeout)
		defer cancel()
		_ = p.Gate.Release(bounded, front)
	}
}

// again starts what the record says, which was verified.
func (p place) again(ctx context.Context, record Record) error {
	letGo := p.holdAgain(ctx, record)
	defer letGo()
	_, err := p.start(ctx, record, rollbackTimeout, rollbackTries)
	return err
}

// rest has nothing run in a place whose record says so.
func (p place) rest(ctx context.Context, record Record) error {
	if err := p.Units.Disable(ctx, p.unit()); err != nil {
		return fmt.Errorf("having the gateway not start at boot: %w", err)
	}
	if err := p.Units.Stop(ctx, p.unit()); err != nil {
		return fmt.Errorf("stopping the gateway: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	problems := []error{p.vacate(ctx, record)}
	if problems[0] == nil {
		problems = append(problems, p.engine().RemoveNetwork(ctx, p.container(), p.name))
	}
	return errors.Join(append(problems, p.Gate.Close(bounded, p.front(record, p.name)))...)
}

// vacate ends what has the data, and undoes what releases made of them that are no good. After
// an error a process may have the data.
func (p place) vacate(ctx context.Context, record Record) error {
	if err := p.clearGateway(ctx); err != nil {
		return err
	}
	for _, id := range slices.Backward(record.Failed) {
		if err := p.Snapshots.Restore(ctx, p.name, id); err != nil {
			return fmt.Errorf("giving the data back: %w", err)
		}
	}
	return nil
}

// outcome says what became of the gateway when a pending release was given up. Down says that
// none runs that should.
func (p place) outcome(pending Record, err error) (text string, down bool) {
	id := pending.Pending.Back
	what := "nothing ran before, nothing runs now"
	if id != "" {
		what = "release " + id
		if r, err := p.load(id); err == nil {
			what = "release " + r.Version
		}
	}
	switch {
	case err != nil && id == "":
		return fmt.Sprintf("ROLLBACK FAILED: nothing ran before, and the new gateway does not go: %v", err), true
	case err != nil:
		return fmt.Sprintf("ROLLBACK FAILED: %s is not healthy either: %v. The gateway is DOWN on this host.", what, err), true
	case id == "":
		return what, false
	}
	return fmt.Sprintf("rolled back: %s is healthy", what), false
}

// astray tells whether the unit runs something else than the record says: whoever changed the
// record was stopped before it could restart the unit.
func (p place) astray(record Record) bool {
	status, err := p.status()
	return err == nil && status.Phase != Ended && status.Generation != record.Generation
}
