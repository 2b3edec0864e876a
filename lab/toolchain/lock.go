package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockBuild makes one process at a time build a binary; the others wait and
// then find it built. The kernel releases the lock when a process dies.
func lockBuild(ctx context.Context, binary string, progress Progress) (*os.File, error) {
	file, err := os.OpenFile(binary+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of a build: %w", err)
	}
	for told := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("locking a build: %w", err)
		}
		if !told {
			progress("waiting for another process that builds %s", filepath.Base(binary))
			told = true
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("waiting for another process that builds %s: %w", filepath.Base(binary), context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
