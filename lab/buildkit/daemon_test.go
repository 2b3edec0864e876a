package buildkit

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawft/infra/lab/toolchain"
)

// TestRun builds an image with a build step, which takes runc, cgroups and an
// overlay, and expects that nothing of it is left after Close.
func TestRun(t *testing.T) {
	opts := options(t)
	d := start(t, opts)

	out := t.TempDir()
	b := newBuild(t, d, `FROM scratch AS build
COPY step /step
RUN ["/step"]
FROM scratch
COPY --from=build /result /result
`)
	if output, err := b.command(t.Context(), "--output", "type=local,dest="+out).CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, output)
	}
	result, err := os.ReadFile(filepath.Join(out, "result"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "built by uid 0\n"; string(result) != want {
		t.Errorf("the build step wrote %q, want %q", result, want)
	}

	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	expectNothingLeft(t, opts)
}

// TestLeftBehind kills a daemon in the middle of a build step, as it happens
// when the machine runs out of memory or somebody cleans up by hand.
func TestLeftBehind(t *testing.T) {
	opts := options(t)
	d := start(t, opts)
	b := newBuild(t, d, `FROM scratch
COPY step /step
RUN ["/step", "wait"]
`)
	var progress bytes.Buffer
	build := b.command(t.Context(), "--output", "type=cacheonly")
	build.Stdout, build.Stderr = &progress, &progress
	if err := build.Start(); err != nil {
		t.Fatal(err)
	}
	// Not before: what runc runs to prepare a step ends with the daemon.
	waitFor(t, "the build step to run", func() bool {
		return slices.ContainsFunc(steps(t, opts.Dir), func(pid int) bool {
			cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
			return err == nil && string(cmdline) == "/step\x00wait\x00"
		})
	})

	if err := d.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := build.Wait(); err == nil {
		t.Errorf("the build succeeded without its daemon:\n%s", &progress)
	}
	if len(steps(t, opts.Dir)) == 0 {
		t.Fatal("the build step ended with the daemon: there is nothing to clear away, and this test shows nothing")
	}
	// This process would otherwise count as a live user.
	d.use.Release()

	if err := Stop(t.Context(), opts.Dir); err != nil {
		t.Fatal(err)
	}
	expectNothingLeft(t, opts)

	// The cache survived it.
	again := start(t, opts)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestShared(t *testing.T) {
	opts := options(t)
	first := start(t, opts)
	second := start(t, opts)
	if second.process != nil {
		t.Error("the second user started a daemon of its own")
	}
	if err := Stop(t.Context(), opts.Dir); err == nil || !strings.Contains(err.Error(), "another process of the lab uses it") {
		t.Errorf("stopping a daemon in use: %v", err)
	}
	other := opts
	other.Registries = map[string]string{"127.0.0.1:5000": "/other.crt"}
	if _, err := Start(t.Context(), other); err == nil || !strings.Contains(err.Error(), "with other settings") {
		t.Errorf("starting with other settings: %v", err)
	}

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if !answers(t.Context(), opts.Socket) {
		t.Fatal("the daemon ended with its first user, while there was a second one")
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	expectNothingLeft(t, opts)
}

func TestStartErrors(t *testing.T) {
	failing := filepath.Join(t.TempDir(), "buildkitd")
	if err := os.WriteFile(failing, []byte("#!/bin/sh\necho no such snapshotter >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		change  func(*Options)
		message string
	}{
		{"no program", func(o *Options) { o.Buildkitd += "-absent" }, "no such file or directory"},
		{"program exits", func(o *Options) { o.Buildkitd = failing }, "it exited (exit status 1):\nno such snapshotter"},
		{"socket path", func(o *Options) { o.Socket = "/" + strings.Repeat("s", 200) }, "has 201 characters, the system allows 107"},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := options(t)
			c.change(&opts)
			d, err := Start(t.Context(), opts)
			if err == nil {
				_ = d.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %q does not say %q", err, c.message)
			}
		})
	}
}

func TestStopWithoutDaemon(t *testing.T) {
	if err := Stop(t.Context(), filepath.Join(t.TempDir(), "absent")); err != nil {
		t.Error(err)
	}
}

func options(t *testing.T) Options {
	t.Helper()
	// Not t.TempDir: a socket's path has to be short.
	dir, err := os.MkdirTemp("", "buildkit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return Options{
		Buildkitd: program(t, toolchain.Buildkitd),
		Dir:       filepath.Join(dir, "state"),
		Socket:    filepath.Join(dir, "s"),
	}
}

func start(t *testing.T, opts Options) *Daemon {
	t.Helper()
	d, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.use.Release()
		if err := Stop(context.Background(), opts.Dir); err != nil && !strings.Contains(err.Error(), "uses it") {
			t.Error(err)
		}
	})
	return d
}

func program(t *testing.T, tool toolchain.Tool) string {
	t.Helper()
	path, err := toolchain.Ensure(t.Context(), "../..", tool, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build is a context with a Dockerfile and the program that its steps run.
type build struct{ buildx, config, dir string }

func newBuild(t *testing.T, d *Daemon, dockerfile string) build {
	t.Helper()
	b := build{buildx: program(t, toolchain.Buildx), config: t.TempDir(), dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(b.dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		t.Fatal(err)
	}
	step := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(b.dir, "step"), "./testdata/step")
	step.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := step.CombinedOutput(); err != nil {
		t.Fatalf("compiling the build step: %v\n%s", err, output)
	}
	create := b.buildxCommand(t.Context(), "create", "--name", "test", "--driver", "remote", d.Endpoint())
	if output, err := create.CombinedOutput(); err != nil {
		t.Fatalf("creating a builder: %v\n%s", err, output)
	}
	return b
}

func (b build) command(ctx context.Context, args ...string) *exec.Cmd {
	return b.buildxCommand(ctx, append([]string{"build", "--builder", "test", "--progress", "plain", b.dir}, args...)...)
}

func (b build) buildxCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.buildx, args...)
	cmd.Env = append(os.Environ(), "BUILDX_CONFIG="+b.config, "DOCKER_CONFIG="+b.config)
	return cmd
}

// steps are the processes of build steps under way.
func steps(t *testing.T, dir string) []int {
	t.Helper()
	pids, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	var inside []int
	for _, pid := range pids {
		cgroup, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
		if err == nil && strings.Contains(string(cgroup), cgroupName(dir)) {
			inside = append(inside, pid)
		}
	}
	return inside
}

func expectNothingLeft(t *testing.T, opts Options) {
	t.Helper()
	if pid, err := find(opts.Dir); err != nil || pid != 0 {
		t.Errorf("buildkitd still runs: process %d, %v", pid, err)
	}
	if left := steps(t, opts.Dir); len(left) > 0 {
		t.Errorf("build steps still run: %v", left)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), opts.Dir) {
		t.Errorf("mounts below %s are left", opts.Dir)
	}
	cgroups, err := filepath.Glob("/sys/fs/cgroup/*/" + cgroupName(opts.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/sys/fs/cgroup/" + cgroupName(opts.Dir)); err == nil || len(cgroups) > 0 {
		t.Errorf("cgroups of build steps are left: %v", cgroups)
	}
	ids, err := stepIDs(opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := os.Stat("/run/runc/" + id); err == nil {
			t.Errorf("runc still has a record of the build step %s", id)
		}
	}
	if answers(t.Context(), opts.Socket) {
		t.Errorf("%s still answers", opts.Socket)
	}
	if err := syscall.Access(filepath.Join(opts.Dir, "root"), syscall.F_OK); err != nil {
		t.Errorf("the cache is gone: %v", err)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s took more than a minute", what)
		}
	}
}
