package buildkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock is a file lock. The kernel gives it back when the process dies, however
// it dies.
type lock struct{ file *os.File }

func (l *lock) release() { _ = l.file.Close() }

// takeTurn makes this process the only one that starts or ends the daemon in dir.
func takeTurn(ctx context.Context, dir string) (*lock, error) {
	l, err := openLock(filepath.Join(dir, "turn.lock"))
	if err != nil {
		return nil, err
	}
	for {
		taken, err := l.try(syscall.LOCK_EX)
		if taken {
			return l, nil
		}
		if err == nil {
			select {
			case <-ctx.Done():
				err = fmt.Errorf("waiting for another process that starts or stops BuildKit in %s: %w", dir, ctx.Err())
			case <-time.After(50 * time.Millisecond):
				continue
			}
		}
		l.release()
		return nil, err
	}
}

// beginUse counts this process among the users of the daemon in dir. alone
// tells that there is no other. The caller has the turn.
func beginUse(dir string) (l *lock, alone bool, err error) {
	if l, err = openLock(filepath.Join(dir, "use.lock")); err != nil {
		return nil, false, err
	}
	if alone, err = l.try(syscall.LOCK_EX); err == nil {
		_, err = l.try(syscall.LOCK_SH)
	}
	if err != nil {
		l.release()
	}
	return l, alone, err
}

// endUse reports whether this was the last user. The caller has the turn.
func (l *lock) endUse() (last bool, err error) {
	defer l.release()
	return l.try(syscall.LOCK_EX)
}

func openLock(path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a lock of BuildKit: %w", err)
	}
	return &lock{file}, nil
}

// try takes or changes the lock without waiting for it.
func (l *lock) try(how int) (bool, error) {
	err := syscall.Flock(int(l.file.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", l.file.Name(), err)
	}
	return true, nil
}
