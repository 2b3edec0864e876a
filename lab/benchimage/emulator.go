package benchimage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/clawft/infra/lab/qemu"
	"github.com/clawft/infra/lab/toolchain"
)

// handlers is the kernel's list of emulators.
const handlers = "/proc/sys/fs/binfmt_misc"

// emulatorName is the name of the benchmark's own entry.
const emulatorName = "clawft-bench-arm64"

// arm64Programs are the magic and the mask by which the kernel knows them: ELF,
// 64 bits, little-endian, an executable or a shared object, for AArch64.
const arm64Programs = `\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00` +
	`:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`

// emulator is QEMU, registered with the kernel for arm64 programs.
type emulator struct {
	mounted bool // the list is mounted by us
}

// registerEmulator gives the kernel an emulator until close.
func registerEmulator(ctx context.Context, cache string, progress toolchain.Progress) (*emulator, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the comparison emulates arm64, which this machine (%s) is itself: run it on amd64", runtime.GOARCH)
	}
	others, err := filepath.Glob(handlers + "/qemu-aarch64*")
	if err != nil {
		return nil, fmt.Errorf("listing the kernel's emulators: %w", err)
	}
	if len(others) > 0 {
		progress("the kernel has an emulator for arm64 already: using that one")
		return &emulator{}, nil
	}
	program, err := qemu.Ensure(ctx, cache, "arm64", progress)
	if err != nil {
		return nil, err
	}
	e := &emulator{}
	if _, err := os.Stat(handlers + "/register"); errors.Is(err, os.ErrNotExist) {
		if output, err := exec.CommandContext(ctx, "mount", "-t", "binfmt_misc", "binfmt_misc", handlers).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("mounting the kernel's list of emulators: %w: %s", err, output)
		}
		e.mounted = true
	}
	// What a killed run left points to a program that may be gone.
	_ = os.WriteFile(filepath.Join(handlers, emulatorName), []byte("-1"), 0)
	// F opens the program now, so that it is found inside containers too.
	entry := fmt.Sprintf(":%s:M::%s:%s:F", emulatorName, arm64Programs, program)
	if err := os.WriteFile(handlers+"/register", []byte(entry), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("registering the emulator: %w", err), e.close(ctx))
	}
	return e, nil
}

// close leaves the kernel as it was, also where the run was cancelled.
func (e *emulator) close(ctx context.Context) error {
	entry := filepath.Join(handlers, emulatorName)
	if _, err := os.Stat(entry); err == nil {
		if err := os.WriteFile(entry, []byte("-1"), 0); err != nil {
			return fmt.Errorf("unregistering the emulator: %w", err)
		}
	}
	if e.mounted {
		if output, err := exec.CommandContext(context.WithoutCancel(ctx), "umount", handlers).CombinedOutput(); err != nil {
			return fmt.Errorf("unmounting the kernel's list of emulators: %w: %s", err, output)
		}
	}
	return nil
}
