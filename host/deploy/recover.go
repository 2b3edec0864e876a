package deploy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/clawft/infra/host/release"
)

// recoverPatience is how long Recover waits for the lock of a deployment that is ending.
const recoverPatience = 30 * time.Second

// Recover does what a deployment has left undone that was killed, and returns what became of it:
// its own report if it came to one. It may be called after any deployment, also one that ended
// by itself, and more than once; after an error it should be.
//
// Where it cannot be called, the unit's process goes back by itself a moment later; what is held
// is let go with the process that held it.
func (h *Host) Recover(ctx context.Context, deployment string) (release.Report, error) {
	d := h.newDeployment(deployment, "deploy", release.Owner{})
	d.report.Result, d.report.Cause, d.report.Back = release.Failed, "the deployment was killed", "nothing was changed"
	found, err := h.placeOf(deployment)
	if err != nil || found == nil {
		return d.report, err
	}
	d.place, d.report.Gateway = *found, found.name
	waiting, cancel := context.WithTimeout(ctx, recoverPatience)
	defer cancel()
	unlock, err := d.Disk.Lock(waiting, d.lockFile())
	if err != nil {
		d.report.Back = "another deployment is under way, and goes back before it begins"
		return d.report, nil
	}
	defer unlock()
	if err := d.recover(ctx); err != nil {
		d.report.Back = fmt.Sprintf("it is not known what runs: %v", err)
		return d.report, err
	}
	d.note(d.prune(ctx))
	return d.recovered(), nil
}

// recover brings what runs and what the record says together.
func (d *deployment) recover(ctx context.Context) error {
	d.note(d.clearPreflight(ctx))
	record, err := d.place.record()
	if err != nil {
		return err
	}
	switch {
	case record.Pending != nil:
		_, err := d.back(ctx, record)
		d.report.Back, d.report.Down = d.outcome(record, err)
		return nil
	case record.Current == "":
		return d.rest(ctx, record)
	case d.astray(record):
		err := d.again(ctx, record)
		d.report.Back, d.report.Down = d.outcome(record.swapped("", ""), err)
	}
	return nil
}

// recovered is the deployment's own report, if it came to one.
func (d *deployment) recovered() release.Report {
	record, err := d.place.record()
	d.note(err)
	n := slices.IndexFunc(record.History, func(r release.Report) bool { return r.Deployment == d.id })
	if n >= 0 {
		return record.History[n]
	}
	d.report.Took.Total = release.Seconds(time.Since(d.began))
	d.note(d.tell(d.report))
	return d.report
}

// placeOf finds where a deployment was; nil if it came nowhere.
func (h *Host) placeOf(deployment string) (*place, error) {
	places, records, err := h.places()
	if err != nil {
		return nil, err
	}
	for n, p := range places {
		pending := records[n].Pending
		here, _ := p.Disk.Read(p.deploymentFile())
		if pending != nil && pending.Deployment == deployment || string(here) == deployment ||
			slices.ContainsFunc(records[n].History, func(r release.Report) bool { return r.Deployment == deployment }) {
			return &p, nil
		}
	}
	return nil, nil
}
