package toolchain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/clawft/infra/lab/flock"
)

// lockBuild makes one process at a time build a binary; the others wait and
// then find it built.
func lockBuild(ctx context.Context, binary string, progress Progress) (*flock.Lock, error) {
	path := binary + ".lock"
	lock, err := flock.Try(path)
	if errors.Is(err, flock.ErrHeld) {
		progress("waiting for another process that builds %s", filepath.Base(binary))
		lock, err = flock.Wait(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("taking a turn to build %s: %w", filepath.Base(binary), err)
	}
	return lock, nil
}
