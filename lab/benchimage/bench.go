package benchimage

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clawft/infra/lab/bases"
	"github.com/clawft/infra/lab/engine"
	"github.com/clawft/infra/lab/gatewayimage"
	"github.com/clawft/infra/lab/toolchain"
)

//go:embed emulated.Dockerfile chef.Dockerfile
var dockerfiles embed.FS

// What the project promises.
const (
	wantEmulated = 5 // times slower is arm64 under an emulator
	wantSource   = 3 // times faster is a rebuild after a change of the source
)

// version is the fixture's.
const version = "0.6.19"

// times are the durations of one way to build.
type times struct {
	cold, source, nothing time.Duration
}

// bench is one run.
type bench struct {
	builder  *gatewayimage.Builder
	root     string
	work     string // holds the changed sources
	progress toolchain.Progress
}

// Run measures and prints the table. root is the checkout. It takes about
// half an hour on two cores, most of it under the emulator, and keeps its cache in
// .lab/cache.
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
	both, err := b.measure(ctx, "both platforms, cross-compiled", crossed, "health", "libraries")
	if err != nil {
		return err
	}
	crossed.Platforms = []string{"linux/arm64"}
	arm, err := b.measure(ctx, "arm64, cross-compiled", crossed, "health", "libraries")
	if err != nil {
		return err
	}
	emulated, err := b.emulate(ctx)
	if err != nil {
		return err
	}
	return table(out, both, arm, emulated)
}

// emulate measures the first design's Dockerfile for arm64.
func (b bench) emulate(ctx context.Context) (t times, err error) {
	cache := filepath.Join(b.root, ".lab", "cache")
	emulator, err := registerEmulator(ctx, cache, b.progress)
	if err != nil {
		return times{}, err
	}
	defer func() { err = errors.Join(err, emulator.close(ctx)) }()
	contexts, err := bases.Emulated(ctx, cache, func(step string) { b.progress("%s", step) })
	if err != nil {
		return times{}, err
	}
	if err := os.CopyFS(filepath.Join(b.work, "dockerfiles"), dockerfiles); err != nil {
		return times{}, fmt.Errorf("writing the Dockerfiles: %w", err)
	}
	chef := gatewayimage.Build{
		Dockerfile: filepath.Join(b.work, "dockerfiles", "chef.Dockerfile"), Context: filepath.Join(b.work, "dockerfiles"),
		Platforms: []string{"linux/arm64"}, Files: filepath.Join(b.work, "chef"),
	}
	if _, err := b.builder.Run(ctx, chef); err != nil {
		return times{}, fmt.Errorf("making cargo-chef for arm64: %w", err)
	}
	further := map[string]string{"cargo-chef": chef.Files}
	maps.Copy(further, contexts)
	build := gatewayimage.Build{
		Dockerfile: filepath.Join(b.work, "dockerfiles", "emulated.Dockerfile"),
		Platforms:  []string{"linux/arm64"}, Contexts: further,
	}
	return b.measure(ctx, "arm64, emulated", build, "chef", "libraries")
}

// measure builds a source three times: all of it, after a change of the source,
// and as it was. The stages that hold Debian's packages and cargo-chef are there
// beforehand: cold means that no crate is compiled.
func (b bench) measure(ctx context.Context, what string, build gatewayimage.Build, prepared ...string) (times, error) {
	var t times
	source, err := b.newSource(what)
	if err != nil {
		return t, err
	}
	build.Context = source
	for _, stage := range prepared {
		preparing := build
		preparing.Target = stage
		if _, err := b.builder.Run(ctx, preparing); err != nil {
			return t, fmt.Errorf("preparing %s: %w", what, err)
		}
	}
	steps := []struct {
		name   string
		into   *time.Duration
		change func() error
	}{
		{"cold", &t.cold, nil},
		{"source change", &t.source, func() error {
			return replaceIn(filepath.Join(source, "crates/clawft-cli/src/main.rs"), "no channels are enabled", "no channel is enabled")
		}},
		{"no change", &t.nothing, nil},
	}
	for _, step := range steps {
		if step.change != nil {
			if err := step.change(); err != nil {
				return t, err
			}
		}
		start := time.Now()
		if _, err := b.builder.Run(ctx, build); err != nil {
			return t, fmt.Errorf("measuring %s, %s: %w", what, step.name, err)
		}
		*step.into = time.Since(start)
		b.progress("%s: %s %.1f s", what, step.name, step.into.Seconds())
	}
	return t, nil
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
