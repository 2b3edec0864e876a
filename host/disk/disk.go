package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// lockInterval is how often a lock is tried that another process has.
const lockInterval = 100 * time.Millisecond

// Disk is a System's.
type Disk struct{ System }

// Read returns a file's content.
func (d Disk) Read(path string) ([]byte, error) {
	content, err := d.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return content, nil
}

// List returns the names in a directory, sorted; none if it is not there.
func (d Disk) List(path string) ([]string, error) {
	names, err := d.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing %s: %w", path, err)
	}
	return names, nil
}

// Replace writes a file that is there before and afterwards, whole, also after a power cut:
// durable when it returns. After an error it is the old one or the new one.
func (d Disk) Replace(path string, content []byte, mode fs.FileMode) error {
	if err := d.write(path, content, mode, true); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return d.Move(path+".new", path)
}

// Move puts one file in the place of another in the same directory, durable when it returns.
func (d Disk) Move(from, to string) error {
	if err := d.Rename(from, to); err != nil {
		return fmt.Errorf("moving %s to %s: %w", from, to, err)
	}
	if err := d.Sync(filepath.Dir(to)); err != nil {
		return fmt.Errorf("syncing %s: %w", filepath.Dir(to), err)
	}
	return nil
}

// Put is Replace for what need not outlast a power cut.
func (d Disk) Put(path string, content []byte, mode fs.FileMode) error {
	if err := d.write(path, content, mode, false); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := d.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (d Disk) write(path string, content []byte, mode fs.FileMode, durable bool) error {
	err := d.WriteFile(path+".new", content, mode)
	if err == nil && durable {
		err = d.Sync(path + ".new")
	}
	if err != nil {
		// What is there of it only takes room.
		_ = d.Remove(path + ".new")
	}
	return err
}

// MakeDir makes a directory and those above it that are missing, durable when it returns. One
// that is there stays as it is. Only the last one gets the owner; those above it are root's,
// and anybody may pass.
func (d Disk) MakeDir(path string, mode fs.FileMode, owner Identity) error {
	err := d.Mkdir(path, mode, owner)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.MakeDir(filepath.Dir(path), 0o755, Identity{}); err != nil {
			return err
		}
		err = d.Mkdir(path, mode, owner)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the directory %s: %w", path, err)
	}
	// Also of one that is there: who made it may have ended before this.
	if err := d.Sync(filepath.Dir(path)); err != nil {
		return fmt.Errorf("syncing %s: %w", filepath.Dir(path), err)
	}
	return nil
}

// RemoveAll removes a directory with everything in it, or a file, and nothing that a link in
// there leads to. It is no error if there is none.
func (d Disk) RemoveAll(path string) error {
	err := d.Remove(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	names, listing := d.ReadDir(path)
	if listing != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	for _, name := range names {
		if err := d.RemoveAll(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	if err := d.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

// Lock waits for a lock until the context ends.
func (d Disk) Lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		unlock, err := d.TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lock %s: %w", path, context.Cause(ctx))
		case <-time.After(lockInterval):
		}
	}
}
