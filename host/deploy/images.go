package deploy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// imagesTimeout is how long another place may take to look through its images.
const imagesTimeout = 2 * time.Minute

// lockImages keeps other places from looking for images that nobody needs, or from saying which
// they need: they share one engine.
func (h *Host) lockImages(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, imagesTimeout, errors.New("another deployment has it"))
	defer cancel()
	return h.Disk.Lock(ctx, filepath.Join(h.Volatile, "images.lock"))
}

// expectImage lists an image before it is pulled, so that it is not forgotten however that
// ends. It tells whether the image is here. What is here and on nobody's list is somebody
// else's.
func (p place) expectImage(ctx context.Context, image string) (here bool, err error) {
	unlock, err := p.lockImages(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	switch _, err := p.engine().Image(ctx, image); {
	case err == nil:
		here = true
	case !errors.Is(err, ErrNotFound):
		return false, fmt.Errorf("looking for the image: %w", err)
	}
	_, records, err := p.places()
	if err != nil {
		return false, err
	}
	listed := func(r Record) bool { return slices.Contains(r.Images, image) }
	if here && !slices.ContainsFunc(records, listed) {
		return true, nil
	}
	record, err := p.record()
	if err != nil || listed(record) {
		return here, err
	}
	record.Images = append(record.Images, image)
	return here, p.write(p.recordFile(), record)
}

// prune removes every release but those that a place may start, the images that only those used,
// and what was there to go back and is not needed any more. It needs the place's lock.
func (p place) prune(ctx context.Context) error {
	record, err := p.record()
	if err != nil {
		return err
	}
	if record.Pending == nil {
		if err := p.Disk.RemoveAll(p.backFile()); err != nil {
			return err
		}
		if err := p.Snapshots.Prune(ctx, p.name, record.Failed); err != nil {
			return fmt.Errorf("removing snapshots: %w", err)
		}
	}
	ids, err := p.Disk.List(p.releases())
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.Contains(record.releases(), id) {
			if err := p.Disk.RemoveAll(filepath.Dir(p.releaseFile(id))); err != nil {
				return err
			}
		}
	}
	if len(record.Images) == 0 {
		return nil
	}
	unlock, err := p.lockImages(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return p.pruneImages(ctx, record)
}

func (p place) pruneImages(ctx context.Context, record Record) error {
	needed, err := p.images(record)
	if err != nil {
		return err
	}
	_, others, err := p.places()
	if err != nil {
		return err
	}
	var kept []string
	var problems []error
	for _, image := range record.Images {
		// Another place that lists it, too, sees to it.
		shared := slices.ContainsFunc(others, func(r Record) bool {
			return string(r.Key) != string(record.Key) && slices.Contains(r.Images, image)
		})
		switch {
		case slices.Contains(needed, image):
			kept = append(kept, image)
		case shared:
		default:
			again, err := p.removeImage(ctx, image)
			if again {
				kept = append(kept, image)
			}
			problems = append(problems, err)
		}
	}
	if len(kept) == len(record.Images) {
		return errors.Join(problems...)
	}
	record.Images = kept
	return errors.Join(append(problems, p.write(p.recordFile(), record))...)
}

// removeImage tells whether it has to be tried again.
func (p place) removeImage(ctx context.Context, image string) (again bool, err error) {
	found, err := p.engine().Image(ctx, image)
	if err == nil && len(found.Tags) == 0 {
		err = p.engine().RemoveImage(ctx, image)
	}
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		// Gone, or somebody has given it a name, and it is theirs.
		return false, nil
	case errors.Is(err, ErrInUse):
		return true, nil
	}
	return true, fmt.Errorf("removing the image %s: %w", image, err)
}

// images are those of the releases that a place may start.
func (p place) images(record Record) ([]string, error) {
	var images []string
	for _, id := range record.releases() {
		r, err := p.load(id)
		if err != nil {
			return nil, err
		}
		images = append(images, r.Image)
	}
	return images, nil
}
