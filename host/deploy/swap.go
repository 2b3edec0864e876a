package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clawft/infra/host/release"
)

const (
	// startRoom is what starting a unit takes beside the gateway's own start: stopping the old
	// one (15 s and a kill), looking after leftovers, and waiting for systemd.
	startRoom = time.Minute
	// routeTimeout is how long a healthy gateway may take until the proxy knows it.
	routeTimeout = 10 * time.Second
	// watchInterval is how often a gateway is asked that was healthy.
	watchInterval = 500 * time.Millisecond
	// afterwards is how long the unit may take to notice how a gateway ended that does not answer.
	afterwards = time.Second
)

// front is the name under which clients reach the gateway now.
func (p place) front(record Record, otherwise string) string {
	if record.owned() {
		return record.Owner.Gateway
	}
	return otherwise
}

// hold has new requests wait in the proxy and lets those under way finish.
func (d *deployment) hold(ctx context.Context) error {
	front, drain := d.front(d.before, d.owner.Gateway), time.Duration(d.release.Drain)*time.Second
	d.onFailure(func(ctx context.Context) { d.note(d.letGo(ctx)) })
	d.held = time.Now()
	left, err := d.takeHold(ctx, front, drain)
	if err != nil {
		return fmt.Errorf("the proxy does not hold requests: %w", err)
	}
	if left > 0 {
		d.note(fmt.Errorf("%d requests were still under way after %d s: the old gateway finished or cut them as it stopped", left, d.release.Drain))
	}
	return nil
}

func (h *Host) takeHold(ctx context.Context, front string, drain time.Duration) (left int, err error) {
	bounded, cancel := context.WithTimeoutCause(ctx, drain+routeTimeout, errors.New("the proxy does not answer"))
	defer cancel()
	return h.Gate.Hold(bounded, front, drain)
}

// letGo ends the hold, if there is one.
func (d *deployment) letGo(ctx context.Context) error {
	if d.held.IsZero() {
		return nil
	}
	bounded, cancel := context.WithTimeoutCause(ctx, routeTimeout, errors.New("the proxy does not answer"))
	defer cancel()
	err := d.Gate.Release(bounded, d.front(d.before, d.owner.Gateway))
	d.report.Took.Held += release.Seconds(time.Since(d.held))
	d.held = time.Time{}
	if err != nil {
		return fmt.Errorf("the proxy does not let requests go: %w", err)
	}
	return nil
}

// swap ends the old release and starts the new one. Two at once must not have the data, so
// requests wait meanwhile.
func (d *deployment) swap(ctx context.Context) error {
	pending := d.before.swapped(d.id, d.new)
	d.say("swapping %s for %s", or(d.before.Current, "nothing"), d.new)
	d.onFailure(d.goBack)
	// The way back is on the disk before it is needed: a full one must not be in it.
	if err := d.write(d.backFile(), pending.back()); err != nil {
		return err
	}
	if err := d.write(d.recordFile(), pending); err != nil {
		return err
	}
	var err error
	d.status, err = d.start(ctx, pending, time.Duration(d.release.HealthTimeout)*time.Second, 1)
	if err != nil {
		return after("after the swap: ", err)
	}
	return d.letGo(ctx)
}

// after says when a failure happened.
func after(when string, err error) error {
	var gateway *failed
	if errors.As(err, &gateway) {
		return &failed{when + gateway.cause, gateway.log}
	}
	return fmt.Errorf("%s%w", when, err)
}

// start has the unit run what the record says, anew if it runs, and waits until that is healthy
// and reached through the proxy. Gateways may fail as often as tries until it gives up.
func (p place) start(ctx context.Context, record Record, limit time.Duration, tries int) (Status, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, limit+startRoom, fmt.Errorf("the gateway was not healthy within %v", limit))
	defer cancel()
	refused := p.Units.Restart(waiting, p.unit())
	for {
		status, err := p.status()
		known := err == nil && status.Generation == record.Generation
		switch {
		case known && status.Phase == Healthy && status.Routed != "":
			return status, nil
		case known && status.Failure != nil && status.Failure.Gateway && status.Failure.Count >= tries:
			return status, &failed{status.Failure.Cause, status.Failure.Log}
		case !known && refused != nil && waiting.Err() == nil:
			return status, fmt.Errorf("the unit does not start: %w", refused)
		}
		if stopped := sleep(waiting, checkInterval); stopped != nil {
			switch {
			case known && status.Failure != nil:
				stopped = fmt.Errorf("%w: %s", stopped, status.Failure.Cause)
			case known && status.Phase == Healthy:
				stopped = errors.New("the gateway is healthy, and the proxy does not answer")
			}
			return status, stopped
		}
	}
}

// watch catches a gateway that is healthy at first: the same one, healthy throughout.
func (d *deployment) watch(ctx context.Context) error {
	limit := time.Duration(d.release.Watch) * time.Second
	d.say("watching for %v", limit)
	for began := time.Now(); ; {
		if err := d.look(ctx); err != nil {
			return after("while watched: ", err)
		}
		if time.Since(began) >= limit {
			return nil
		}
		if err := sleep(ctx, watchInterval); err != nil {
			return err
		}
	}
}

// look is an error when the gateway is not the one that was healthy, or is not any more.
func (d *deployment) look(ctx context.Context) error {
	version, err := d.Health.Check(ctx, d.status.Upstream)
	if err != nil {
		// How it ended is known a moment later.
		if err := sleep(ctx, afterwards); err != nil {
			return err
		}
	}
	status, problem := d.place.status()
	switch {
	case problem != nil:
		return problem
	case status.Failure != nil:
		return &failed{status.Failure.Cause, status.Failure.Log}
	case status.Instance != d.status.Instance:
		return errors.New("the gateway was started again")
	case err != nil:
		return fmt.Errorf("the gateway is not healthy any more: %w", err)
	case version != d.release.Version:
		return fmt.Errorf("/api/health reports version %s", version)
	}
	return nil
}

// commit makes the new release the one to keep.
func (d *deployment) commit(ctx context.Context) error {
	// Before it is verified: after a reboot then, the unit goes back by itself.
	if err := d.Units.Enable(ctx, d.unit()); err != nil {
		return fmt.Errorf("having the gateway start at boot: %w", err)
	}
	record, err := d.place.record()
	if err != nil {
		return err
	}
	d.report.Result, d.report.Took.Total = release.Deployed, release.Seconds(time.Since(d.began))
	if err := d.write(d.recordFile(), record.kept(d.owner).told(d.report)); err != nil {
		d.report.Result = ""
		return err
	}
	// From here on, nothing is undone, and whoever asked may go.
	ctx = context.WithoutCancel(ctx)
	d.note(d.awaitRoute(ctx, d.owner.Gateway))
	return nil
}

// awaitRoute waits until the proxy has the gateway under a name that it may have got just now.
func (p place) awaitRoute(ctx context.Context, name string) error {
	waiting, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	for {
		status, err := p.status()
		if err == nil && status.Routed == name {
			return nil
		}
		if sleep(waiting, checkInterval) != nil {
			return fmt.Errorf("the proxy does not have the gateway as %s yet", name)
		}
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
