package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// heartbeat is how often a running download or build says that it is alive.
const heartbeat = 15 * time.Second

// Progress tells the user what takes time.
type Progress func(format string, args ...any)

// Ensure returns the path of a program that can be run: the one that the checkout
// at root keeps of the pinned version, an installed one that serves, or else one
// that is downloaded or built, and kept. An interruption leaves nothing that a
// later call would take for a program.
func Ensure(ctx context.Context, root string, tool Tool, progress Progress) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("looking for %s: %w; install Go 1.26 or newer and put it on PATH", tool.Name, err)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return "", fmt.Errorf("resolving the checkout's directory: %w", err)
	}
	pinned, err := tool.pin(ctx, root)
	if err != nil {
		return "", err
	}
	binary := tool.binary(root, pinned.Version)
	if kept(binary) {
		return binary, nil
	}
	if path := tool.installed(ctx, pinned.Version, progress); path != "" {
		return path, nil
	}
	if err := os.MkdirAll(binDir(root), 0o755); err != nil {
		return "", fmt.Errorf("making the directory of the tools: %w", err)
	}
	lock, err := lockBuild(ctx, binary, progress)
	if err != nil {
		return "", err
	}
	defer lock.Release()
	if kept(binary) {
		return binary, nil // by the process that had the lock before
	}
	if err := removeLeftovers(binary); err != nil {
		return "", err
	}
	file, err := tool.releaseFile(root, pinned.Version, runtime.GOOS+"/"+runtime.GOARCH)
	if err != nil {
		return "", err
	}
	if file != nil {
		err := download(ctx, tool, pinned.Version, *file, binary, progress)
		if err == nil {
			return binary, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		progress("could not download %s: %v", tool.Name, err)
	}
	if err := build(ctx, root, tool, pinned, binary, progress); err != nil {
		return "", fmt.Errorf("building %s %s: %w", tool.Name, pinned.Version, err)
	}
	return binary, nil
}

func kept(binary string) bool {
	_, err := os.Stat(binary)
	return err == nil
}

// removeLeftovers clears away what interrupted downloads and builds have left.
// Each has its own directory, since the compiler of a killed lab may still run.
// With the lock held, whatever lies about was left by such a one.
func removeLeftovers(binary string) error {
	leftovers, err := filepath.Glob(binary + ".build-*")
	if err != nil {
		return fmt.Errorf("looking for interrupted builds: %w", err)
	}
	for _, dir := range leftovers {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing an interrupted build: %w", err)
		}
	}
	return nil
}

// workDir is a directory beside the binary, from which a whole program is
// renamed: the name of the binary stands for that or for nothing.
func workDir(binary string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(binary), filepath.Base(binary)+".build-")
	if err != nil {
		return "", fmt.Errorf("making a directory for the program: %w", err)
	}
	return dir, nil
}

// build compiles the program. The caller has the lock.
func build(ctx context.Context, root string, tool Tool, pinned pin, binary string, progress Progress) error {
	work, err := workDir(binary)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	flags := "-s -w"
	if tool.VersionVariable != "" {
		flags += " -X " + tool.VersionVariable + "=" + pinned.Version
	}
	output := filepath.Join(work, tool.Name)
	cmd := goCommand(ctx, tool.dir(root), "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-ldflags="+flags, "-o", output, pinned.Package)
	watch := &watch{start: time.Now()}
	cmd.Stdout, cmd.Stderr = watch, watch

	progress("building %s %s from its Go module, once for this checkout (about %s on 2 cores)",
		tool.Name, pinned.Version, tool.BuildTime)
	stop := watch.report(tool.Name, heartbeat, progress)
	err = cmd.Run()
	stop()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, watch.tail())
	}
	if err := os.Rename(output, binary); err != nil {
		return fmt.Errorf("putting it in place: %w", err)
	}
	progress("built %s %s in %s", tool.Name, pinned.Version, watch.elapsed())
	return nil
}
