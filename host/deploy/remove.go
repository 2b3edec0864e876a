package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/clawft/infra/host/release"
)

// Remove stops and removes an owner's gateway, with its releases and images. The data stays. Of
// the owner, only ID and Gateway count. Done says in a line what was done.
//
// What is another's by now stays: a stack that deletes what it once deployed must not stop what
// runs here since. That is no failure, since what it wanted to be gone is gone. A removal that
// was cut short can be run again.
func (h *Host) Remove(ctx context.Context, owner release.Owner) (done string, err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, lockTimeout, errors.New("a deployment was still under way after an hour"))
	defer cancel()
	for {
		p, keeps, err := h.removable(owner)
		if err != nil || keeps != "" {
			return keeps, err
		}
		unlock, err := h.Disk.Lock(waiting, p.lockFile())
		if err != nil {
			return "", err
		}
		again, keeps, err := h.removable(owner)
		if err == nil && keeps == "" && again.name == p.name {
			defer unlock()
			return p.remove(ctx)
		}
		unlock()
	}
}

// removable finds what is an owner's to remove, or says why nothing is.
func (h *Host) removable(owner release.Owner) (p place, keeps string, err error) {
	places, records, err := h.places()
	if err != nil {
		return place{}, "", err
	}
	for n, record := range records {
		switch {
		case record.Owner.Key() == owner.Key():
			return places[n], "", nil
		case record.owned():
			keeps = fmt.Sprintf("nothing was removed: this machine runs %v, and not gateway %s of owner %s", record.Owner, owner.Gateway, owner.ID)
		}
	}
	if keeps == "" {
		// What a first deployment or a removal left that did not finish.
		return place{h, owner.Gateway}, "", nil
	}
	return place{}, keeps, nil
}

func (p place) remove(ctx context.Context) (done string, err error) {
	record, err := p.record()
	if err != nil {
		return "", err
	}
	ended := record
	if record.Pending != nil {
		ended = record.back()
	}
	if err := p.rest(ctx, ended); err != nil {
		return "", err
	}
	if err := p.clearPreflight(ctx); err != nil {
		return "", err
	}
	done = "removed the gateway; its data is kept in " + p.data()
	if !record.owned() {
		done = "no gateway is installed here, nothing was removed; data is kept in " + p.State
	}
	if record.Key == nil {
		return done, nil
	}
	// What says whose it is goes last of what the gateway needs. The images are not forgotten.
	gone := Record{Key: record.Key, Generation: record.Generation + 1, Images: record.Images, History: record.History}
	if err := p.write(p.recordFile(), gone); err != nil {
		return "", err
	}
	for _, file := range []string{p.statusFile(), p.configFile(p.container())} {
		if err := p.Disk.RemoveAll(file); err != nil {
			return "", err
		}
	}
	if err := p.prune(ctx); err != nil {
		return "", fmt.Errorf("the gateway is gone; removing what only it used: %w", err)
	}
	return done, nil
}
