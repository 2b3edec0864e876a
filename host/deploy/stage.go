package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/clawft/infra/host/release"
)

// stage puts the release onto the disk, complete, under its own name.
func (d *deployment) stage(context.Context) error {
	staged := d.release.Staged()
	id, err := staged.ID(d.before.Key)
	if err != nil {
		return err
	}
	d.new, d.report.To.ID = id, id
	// What runs is not touched before the signature is known to be good.
	if id == d.before.Current {
		return nil
	}
	return d.keep()
}

// keep writes the release. One that is not needed after all is removed by prune.
func (d *deployment) keep() error {
	content, err := json.Marshal(d.release.Staged())
	if err != nil {
		return fmt.Errorf("encoding the release: %w", err)
	}
	if err := d.Disk.MakeDir(d.releases(), 0o700, rootIdentity); err != nil {
		return err
	}
	if err := d.Disk.MakeDir(filepath.Dir(d.releaseFile(d.new)), 0o700, rootIdentity); err != nil {
		return err
	}
	return d.Disk.Replace(d.releaseFile(d.new), content, 0o600)
}

// verify lets nothing pass that the host's policy does not.
func (d *deployment) verify(ctx context.Context) error {
	if err := d.Verifier.Verify(ctx, d.release); err != nil {
		return fmt.Errorf("verifying the image's signature: %w", err)
	}
	return nil
}

// compare ends a deployment of what runs already. The names of gateway and stack may be new.
func (d *deployment) compare(ctx context.Context) error {
	if d.new != d.before.Current {
		return nil
	}
	// It starts the same way. What only a deployment uses, such as the signature, may be new.
	if err := d.keep(); err != nil {
		return err
	}
	if !d.healthy(ctx) {
		return nil
	}
	owner := d.owner
	owner.Takes = nil
	if d.before.Owner.Gateway != owner.Gateway || d.before.Owner.Stack != owner.Stack {
		renamed := d.before
		renamed.Owner = owner
		if err := d.write(d.recordFile(), renamed); err != nil {
			return err
		}
		d.note(d.awaitRoute(ctx, owner.Gateway))
	}
	d.report.Result = release.Unchanged
	d.report.Took.Total = release.Seconds(time.Since(d.began))
	return nil
}

// healthy tells whether the current release runs as it should, and will after a reboot.
func (d *deployment) healthy(ctx context.Context) bool {
	unit, err := d.Units.State(ctx, d.unit())
	if err != nil || unit.Active != "active" || !unit.Enabled {
		return false
	}
	status, err := d.place.status()
	if err != nil || status.Phase != Healthy || status.Release != d.new || status.Routed == "" {
		return false
	}
	version, err := d.Health.Check(ctx, status.Upstream)
	return err == nil && version == d.release.Version
}
