package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pullAttempts is how often a pull is tried; the pauses between are 1, 4 and 9 s.
const pullAttempts = 4

// pull fetches the image while the old release serves. What it brings is listed before, and
// removed by prune when no release needs it.
func (d *deployment) pull(ctx context.Context) error {
	image := d.release.Image
	here, err := d.expectImage(ctx, image)
	if err != nil {
		return err
	}
	if !here {
		if err := d.fetch(ctx, image); err != nil {
			return fmt.Errorf("cannot pull %s: %w", image, err)
		}
	}
	// It lists the image by now.
	if d.before, err = d.place.record(); err != nil {
		return err
	}
	info, err := d.engine().Ping(ctx)
	if err != nil {
		return fmt.Errorf("asking the engine: %w", err)
	}
	found, err := d.engine().Image(ctx, image)
	if err != nil {
		return fmt.Errorf("looking at the image: %w", err)
	}
	if found.Platform != info.Platform {
		return fmt.Errorf("wrong architecture: the image is built for %s, this host is %s", found.Platform, info.Platform)
	}
	return nil
}

func (d *deployment) fetch(ctx context.Context, image string) error {
	limit := time.Duration(d.release.Staged().PullTimeout) * time.Second
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	d.say("pulling %s", image)
	late := func(last error) error {
		if last == nil {
			return context.Cause(limited)
		}
		return fmt.Errorf("%w: %w", context.Cause(limited), last)
	}
	var last error
	for attempt := 1; ; attempt++ {
		err := d.Engine.Pull(limited, image, d.release.Registry)
		switch {
		case err == nil:
			return nil
		case limited.Err() != nil:
			return late(last)
		case errors.Is(err, ErrFinal):
			return err
		case attempt == pullAttempts:
			return fmt.Errorf("after %d attempts: %w", attempt, err)
		}
		last = err
		d.say("the pull failed, trying again: %v", err)
		if sleep(limited, time.Duration(attempt*attempt)*time.Second) != nil {
			return late(last)
		}
	}
}

// sleep waits, and returns why when the context ends before.
func sleep(ctx context.Context, duration time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(duration):
		return nil
	}
}
