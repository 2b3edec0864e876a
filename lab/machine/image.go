package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/clawft/infra/lab/flock"
)

// Packages are the Debian packages that building the image needs on the
// machine that hosts the lab.
func Packages() []string { return []string{"mmdebstrap", "debian-archive-keyring"} }

// imageChanges turn the imported tree into an image that starts as a machine.
var imageChanges = []string{
	`CMD ["/sbin/lab-init"]`,
	`ENV container=docker`,
}

// Image is the name under which the engine knows the machine image.
func (m *Manager) Image() string { return "clawft-lab/machine:" + m.recipe }

// EnsureImage makes the machine image known to the engine. The tree it is made
// from is built once per recipe and kept in the cache, from where it is
// imported in seconds. progress is told each step that takes time.
func (m *Manager) EnsureImage(ctx context.Context, progress func(string)) error {
	have, err := m.docker.ok(ctx, "image", "inspect", m.Image())
	if err != nil || have {
		return err
	}
	// Two labs of one checkout, or two test binaries, share the cache.
	lock, err := flock.Wait(ctx, filepath.Join(m.cache, "machine.lock"))
	if err != nil {
		return err
	}
	defer lock.Release()

	tarball := filepath.Join(m.cache, "machine-"+m.recipe+".tar")
	if _, err := os.Stat(tarball); errors.Is(err, os.ErrNotExist) {
		if err := m.buildTarball(ctx, tarball, progress); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("looking for the machine image's tree: %w", err)
	}

	progress("importing the machine image into the engine")
	args := []string{"import", "--message", "clawft lab machine"}
	for _, c := range imageChanges {
		args = append(args, "--change", c)
	}
	if _, err := m.docker.run(ctx, append(args, tarball, m.Image())...); err != nil {
		return fmt.Errorf("importing the machine image (if %s is damaged, delete it and run this again): %w", tarball, err)
	}
	return nil
}

// buildTarball leaves either the whole tarball or none, so an interrupted
// build is begun again, never taken for a finished one.
func (m *Manager) buildTarball(ctx context.Context, tarball string, progress func(string)) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("building the machine image: mmdebstrap is not installed; run: apt-get install %s", strings.Join(Packages(), " "))
	}
	if err := m.dropStale("machine-build-*"); err != nil {
		return err
	}
	work, err := os.MkdirTemp(m.cache, "machine-build-")
	if err != nil {
		return fmt.Errorf("building the machine image: %w", err)
	}
	defer os.RemoveAll(work)
	if err := unpackRecipe(work); err != nil {
		return err
	}

	progress("building the machine image from Debian's packages (about 30 s, once)")
	started := time.Now()
	partial := filepath.Join(work, "tree.tar")
	if err := runContained(ctx, append([]string{"mmdebstrap"}, mmdebstrapArgs(work, partial)...), "TMPDIR="+work); err != nil {
		return fmt.Errorf("building the machine image: %w", err)
	}
	if err := m.dropStale("machine-*.tar"); err != nil {
		return err
	}
	if err := os.Rename(partial, tarball); err != nil {
		return fmt.Errorf("keeping the machine image: %w", err)
	}
	progress(fmt.Sprintf("built the machine image in %s", time.Since(started).Round(time.Second)))
	return nil
}

// dropStale removes what matches the pattern in the cache: trees of earlier
// recipes, hundreds of megabytes each, and what killed builds left behind. Only
// to be called under the cache's lock.
func (m *Manager) dropStale(pattern string) error {
	stale, err := filepath.Glob(filepath.Join(m.cache, pattern))
	if err != nil {
		return fmt.Errorf("looking for old machine images: %w", err)
	}
	for _, path := range stale {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing an old machine image: %w", err)
		}
	}
	return nil
}

// runContained runs a command that mounts file systems, in namespaces of its
// own: however it or this process ends, its children end and its mounts are
// gone, and the directory it worked in can be removed.
func runContained(ctx context.Context, command []string, env ...string) error {
	// The death signal is sent when the starting thread ends, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	args := append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}, command...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("running %s: %w", command[0], context.Cause(ctx))
	}
	return fmt.Errorf("running %s: %w; the end of its log:\n%s", command[0], err, lastLines(log.String(), 20))
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
