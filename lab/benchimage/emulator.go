package benchimage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/clawft/infra/lab/toolchain"
)

// handlers is the kernel's list of emulators.
const handlers = "/proc/sys/fs/binfmt_misc"

// emulatorName is the name of the benchmark's own entry.
const emulatorName = "clawft-bench-arm64"

// emulator is QEMU, registered with the kernel for arm64 programs.
type emulator struct {
	mounted bool // the list is mounted by us
}

// registerEmulator gives the kernel an emulator until close. Nothing is
// installed: Debian's package is unpacked in dir.
func registerEmulator(ctx context.Context, dir string, progress toolchain.Progress) (*emulator, error) {
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
	qemu, format, err := unpackQemu(ctx, dir, progress)
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
	entry := fmt.Sprintf(":%s:M::%s:%s:F", emulatorName, format, qemu)
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

// unpackQemu returns the program, and the magic and mask of what it runs.
func unpackQemu(ctx context.Context, dir string, progress toolchain.Progress) (program, format string, err error) {
	root, err := filepath.Abs(filepath.Join(dir, "qemu"))
	if err != nil {
		return "", "", fmt.Errorf("resolving the benchmark's directory: %w", err)
	}
	program = filepath.Join(root, "usr/bin/qemu-aarch64-static")
	if _, err := os.Stat(program); err != nil {
		progress("fetching Debian's qemu-user-static")
		if err := os.MkdirAll(root, 0o755); err != nil {
			return "", "", fmt.Errorf("making the emulator's directory: %w", err)
		}
		fetch := exec.CommandContext(ctx, "sh", "-c", "apt-get download qemu-user-static && dpkg-deb --extract qemu-user-static_*.deb . && rm qemu-user-static_*.deb")
		fetch.Dir = root
		if output, err := fetch.CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("fetching qemu-user-static (is the package list there? apt-get update): %w: %s", err, output)
		}
	}
	// :name:M:offset:magic:mask:interpreter:flags
	line, err := os.ReadFile(filepath.Join(root, "usr/lib/binfmt.d/qemu-aarch64.conf"))
	if err != nil {
		return "", "", fmt.Errorf("reading what the emulator runs: %w", err)
	}
	fields := strings.Split(strings.TrimSpace(string(line)), ":")
	if len(fields) != 8 {
		return "", "", fmt.Errorf("reading what the emulator runs: %d fields in %q, want 8", len(fields), line)
	}
	return program, fields[4] + ":" + fields[5], nil
}
