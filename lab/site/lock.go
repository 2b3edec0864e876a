package site

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clawft/infra/lab/flock"
)

// lock makes sure that one lab command at a time works on a checkout.
func lock(dir string) (*flock.Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the lab's directory: %w", err)
	}
	locked, err := flock.Try(filepath.Join(dir, "lock"))
	if errors.Is(err, flock.ErrHeld) {
		return nil, fmt.Errorf("another lab command is at work in %s; wait for it to end", filepath.Dir(dir))
	}
	return locked, err
}
