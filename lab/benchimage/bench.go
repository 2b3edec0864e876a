package benchimage

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clawft/infra/lab/bases"
	"github.com/clawft/infra/lab/engine"
	"github.com/clawft/infra/lab/gatewayimage"
	"github.com/clawft/infra/lab/toolchain"
)

//go:embed emulated.Dockerfile
var emulatedDockerfile []byte

// What the project promises.
const (
	wantEmulated = 5 // times slower is arm64 under an emulator
	wantSource   = 3 // times faster is a rebuild after a change of the source
)

// version is the fixture's.
const version = "0.6.19"

// times are the durations of one way to build.
type times struct {
	tools, cold, source, nothing time.Duration
}

// bench is one run.
type bench struct {
	builder  *gatewayimage.Builder
	root     string
	work     string // holds the changed sources
	progress toolchain.Progress
}

// Run measures and prints the table. root is the checkout. It takes about half
// an hour on two cores, nearly all of it under the emulator, and keeps its cache
// in .lab/cache.
func Run(ctx context.Context, root string, out io.Writer) (err error) {
	progress := func(format string, args ...any) { fmt.Fprintf(out, "    "+format+"\n", args...) }
	if err := engine.Packages(ctx, progress, gatewayimage.Packages()...); err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(root, ".lab", "cache", "bench-image"))
	if err != nil {
		return fmt.Errorf("resolving the benchmark's directory: %w", err)
	}
	builder, err := gatewayimage.Start(ctx, root, dir, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, builder.Close()) }()
	work, err := os.MkdirTemp("", "clawft-bench-")
	if err != nil {
		return fmt.Errorf("making room for the sources: %w", err)
	}
	defer os.RemoveAll(work)
	b := bench{builder: builder, root: root, work: work, progress: progress}

	crossed := gatewayimage.Build{Dockerfile: filepath.Join(root, "Dockerfile"), Args: map[string]string{"VERSION": version}}
	crossed.Platforms = []string{"linux/amd64", "linux/arm64"}
	both, err := b.measure(ctx, "both platforms, cross-compiled", crossed, "toolchain")
	if err != nil {
		return err
	}
	crossed.Platforms = []string{"linux/arm64"}
	arm, err := b.measure(ctx, "arm64, cross-compiled", crossed, "toolchain")
	if err != nil {
		return err
	}
	emulated, err := b.emulate(ctx, dir)
	if err != nil {
		return err
	}
	arm.tools = both.tools // the same stage, measured when it was not there yet
	return table(out, both, arm, emulated)
}

// emulate measures the first design's Dockerfile for arm64.
func (b bench) emulate(ctx context.Context, dir string) (t times, err error) {
	emulator, err := registerEmulator(ctx, dir, b.progress)
	if err != nil {
		return times{}, err
	}
	defer func() { err = errors.Join(err, emulator.close(ctx)) }()
	contexts, err := bases.Emulated(ctx, filepath.Join(b.root, ".lab", "cache"), func(step string) { b.progress("%s", step) })
	if err != nil {
		return times{}, err
	}
	dockerfile := filepath.Join(b.work, "Dockerfile")
	if err := os.WriteFile(dockerfile, emulatedDockerfile, 0o644); err != nil {
		return times{}, fmt.Errorf("writing the emulated Dockerfile: %w", err)
	}
	build := gatewayimage.Build{Dockerfile: dockerfile, Platforms: []string{"linux/arm64"}, Contexts: contexts}
	return b.measure(ctx, "arm64, emulated", build, "chef")
}

// measure builds a source four times: the tools alone, all of it, after a change
// of the source, and as it was.
func (b bench) measure(ctx context.Context, what string, build gatewayimage.Build, tools string) (times, error) {
	var t times
	source, err := b.newSource(what)
	if err != nil {
		return t, err
	}
	build.Context = source
	stage := build
	stage.Target = tools
	steps := []struct {
		name   string
		build  gatewayimage.Build
		into   *time.Duration
		change func() error
	}{
		{"cargo-chef", stage, &t.tools, nil},
		{"cold", build, &t.cold, nil},
		{"source change", build, &t.source, func() error {
			return replaceIn(filepath.Join(source, "crates/clawft-cli/src/main.rs"), "no channels are enabled", "no channel is enabled")
		}},
		{"no change", build, &t.nothing, nil},
	}
	for _, step := range steps {
		if step.change != nil {
			if err := step.change(); err != nil {
				return t, err
			}
		}
		start := time.Now()
		log, err := b.builder.Run(ctx, step.build)
		if err != nil {
			return t, fmt.Errorf("measuring %s, %s: %w", what, step.name, err)
		}
		*step.into = time.Since(start)
		b.progress("%s: %s %.1f s", what, step.name, step.into.Seconds())
		if cached(log, "cargo install cargo-chef") && step.into == &t.tools {
			t.tools = 0 // by an earlier run: there is nothing to tell
		}
	}
	return t, nil
}

// cached tells whether the step that runs a command came from the cache.
func cached(log, command string) bool {
	for step, fromCache := range gatewayimage.Steps(log) {
		if strings.Contains(step, command) {
			return fromCache
		}
	}
	return false
}

// newSource is the fixture with a manifest that no earlier run has seen: its
// dependencies are compiled anew, while the tools stay where they are.
func (b bench) newSource(what string) (string, error) {
	dir := filepath.Join(b.work, strings.ReplaceAll(what, " ", "-"))
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(b.root, "lab", "fixture"))); err != nil {
		return "", fmt.Errorf("copying the source: %w", err)
	}
	run := fmt.Sprintf("[workspace.metadata]\nrun = \"%s %d\"\n\n[workspace.package]", what, time.Now().UnixNano())
	return dir, replaceIn(filepath.Join(dir, "Cargo.toml"), "[workspace.package]", run)
}

func replaceIn(path, from, to string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("changing the source: %w", err)
	}
	if !strings.Contains(string(text), from) {
		return fmt.Errorf("changing the source: %s does not hold %q", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
		return fmt.Errorf("changing the source: %w", err)
	}
	return nil
}
