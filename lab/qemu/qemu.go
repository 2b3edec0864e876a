package qemu

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/clawft/infra/lab/toolchain"
)

//go:embed fetch.sh
var script string

// names are what QEMU calls an architecture, by what Go and images call it.
var names = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// Ensure returns the path of the emulator that runs an architecture's programs,
// and fetches it if the cache has none yet. It runs on its own: it is linked
// statically.
func Ensure(ctx context.Context, cache, arch string, progress toolchain.Progress) (string, error) {
	name, known := names[arch]
	if !known {
		return "", fmt.Errorf("looking for an emulator of %s: want amd64 or arm64", arch)
	}
	name = "qemu-" + name
	dir, err := filepath.Abs(filepath.Join(cache, "qemu"))
	if err != nil {
		return "", fmt.Errorf("resolving the emulator's directory: %w", err)
	}
	program := filepath.Join(dir, name)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	progress("fetching %s of Debian's qemu-user-static, once for this checkout", name)
	if err := fetch(ctx, dir, name); err != nil {
		return "", fmt.Errorf("fetching %s: %w", name, err)
	}
	return program, nil
}

// fetch renames the emulator into its place at the end: an interrupted one
// leaves nothing that a later call would take for a program.
func fetch(ctx context.Context, dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	command := exec.CommandContext(ctx, "sh", "-c", script, "sh", name)
	command.Dir = work
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	// What the shell has started outlives it, and holds the pipe.
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return os.Rename(filepath.Join(work, name), filepath.Join(dir, name))
}
