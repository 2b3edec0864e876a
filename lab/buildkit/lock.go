package buildkit

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/clawft/infra/lab/flock"
)

// takeTurn makes this process the only one that starts or ends the daemon in dir.
func takeTurn(ctx context.Context, dir string) (*flock.Lock, error) {
	turn, err := flock.Wait(ctx, filepath.Join(dir, "turn.lock"))
	if err != nil {
		return nil, fmt.Errorf("taking a turn to start or stop BuildKit: %w", err)
	}
	return turn, nil
}

// beginUse counts this process among the users of the daemon in dir. alone
// tells that there is no other. The caller has the turn.
func beginUse(dir string) (use *flock.Lock, alone bool, err error) {
	if use, err = flock.Open(filepath.Join(dir, "use.lock")); err != nil {
		return nil, false, fmt.Errorf("counting BuildKit's users: %w", err)
	}
	if alone, err = use.Exclusive(); err == nil {
		_, err = use.Shared()
	}
	if err != nil {
		use.Release()
		return nil, false, fmt.Errorf("counting BuildKit's users: %w", err)
	}
	return use, alone, nil
}

// endUse reports whether this was the last user. The caller has the turn.
func endUse(use *flock.Lock) (last bool, err error) {
	defer use.Release()
	return use.Exclusive()
}
