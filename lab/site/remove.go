package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/clawft/infra/lab/buildkit"
)

// Exists tells whether a lab has a stack that could be destroyed.
func Exists(options Options) bool {
	_, err := os.Stat(filepath.Join(Dir(options.Root, options.Name), "state"))
	return err == nil
}

// Remove removes a lab without asking its stack: machines, network, volumes and
// every file but the cache.
func Remove(ctx context.Context, options Options) error {
	dir := Dir(options.Root, options.Name)
	locked, err := lock(dir)
	if err != nil {
		return err
	}
	defer locked.Release()
	machines, err := Machines(options)
	if err != nil {
		return err
	}
	if err := machines.DownAll(ctx); err != nil {
		return err
	}
	// All labs of a checkout share the daemon, which ends with the last of them.
	if err := buildkit.Stop(ctx, filepath.Join(Cache(options.Root), "buildkit")); err != nil && !errors.Is(err, buildkit.ErrInUse) {
		return err
	}
	return removeFiles(options.Root, dir)
}

// removeFiles empties a lab's directory of all but what other labs need.
func removeFiles(root, dir string) error {
	keep := map[string]bool{"cache": true, "engine": true, "labs": true, "machines": true}
	if dir != filepath.Join(root, ".lab") {
		keep = nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing the lab's files: %w", err)
	}
	for _, entry := range entries {
		if keep[entry.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("removing the lab's files: %w", err)
		}
	}
	// Directories that are empty by now go as well; those in use stay.
	for _, empty := range []string{dir, filepath.Join(root, ".lab", "machines"), filepath.Join(root, ".lab", "labs")} {
		_ = os.Remove(empty)
	}
	return nil
}
