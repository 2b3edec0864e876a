// Package flock keeps processes from doing the same thing at once, with locks of
// files. The kernel gives a lock back when its process dies, however it dies.
package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// interval is how often Wait looks. A process that sleeps in flock(2) could not
// be told that its context has ended.
const interval = 50 * time.Millisecond

// ErrHeld is what Try returns where somebody else has the lock.
var ErrHeld = errors.New("another process holds it")

// Lock is an open file and what this process has of its lock. Two of the same
// file exclude each other in one process as well.
type Lock struct{ file *os.File }

// Open opens a file, which it creates, and takes nothing yet.
func Open(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a lock: %w", err)
	}
	return &Lock{file}, nil
}

// Try takes the lock of a file for this process alone, or returns ErrHeld.
func Try(path string) (*Lock, error) {
	l, err := Open(path)
	if err != nil {
		return nil, err
	}
	taken, err := l.Exclusive()
	if err == nil && !taken {
		err = fmt.Errorf("locking %s: %w", path, ErrHeld)
	}
	if err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

// Wait takes the lock of a file for this process alone, as soon as it is free.
func Wait(ctx context.Context, path string) (*Lock, error) {
	l, err := Open(path)
	if err != nil {
		return nil, err
	}
	for {
		taken, err := l.Exclusive()
		if taken {
			return l, nil
		}
		if err == nil {
			select {
			case <-time.After(interval):
				continue
			case <-ctx.Done():
				err = fmt.Errorf("waiting for %s, which another process holds: %w", path, context.Cause(ctx))
			}
		}
		l.Release()
		return nil, err
	}
}

// Exclusive takes the lock for this process alone, or makes a shared one that,
// and reports whether that was possible. Where it was not, the shared one is lost.
func (l *Lock) Exclusive() (bool, error) { return l.try(syscall.LOCK_EX) }

// Shared takes the lock together with others, or makes an exclusive one that,
// and reports whether that was possible.
func (l *Lock) Shared() (bool, error) { return l.try(syscall.LOCK_SH) }

func (l *Lock) try(how int) (bool, error) {
	err := syscall.Flock(int(l.file.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", l.file.Name(), err)
	}
	return true, nil
}

// Release gives the lock back. The file stays: another process may have it open.
// A second call does nothing.
func (l *Lock) Release() { _ = l.file.Close() }
