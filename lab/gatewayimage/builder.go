package gatewayimage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/clawft/infra/lab/bases"
	"github.com/clawft/infra/lab/buildkit"
	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/toolchain"
)

// builderName is the buildx builder, in a configuration of its own.
const builderName = "clawft-image"

// Builder is a BuildKit that is ready to build.
type Builder struct {
	daemon *buildkit.Daemon
	client *buildx.Client
	// contexts replace the base images.
	contexts map[string]string
}

// Start makes what a build needs: the programs, the base images and a BuildKit
// that keeps its cache in dir. root is the checkout. The first time takes about
// eight minutes on two cores.
func Start(ctx context.Context, root, dir string, progress toolchain.Progress) (*Builder, error) {
	program, err := toolchain.Ensure(ctx, root, toolchain.Buildkitd, progress)
	if err != nil {
		return nil, err
	}
	clientProgram, err := toolchain.Ensure(ctx, root, toolchain.Buildx, progress)
	if err != nil {
		return nil, err
	}
	contexts, err := bases.NamedContexts(ctx, filepath.Join(root, ".lab", "cache"), func(step string) { progress("%s", step) })
	if err != nil {
		return nil, err
	}
	daemon, err := buildkit.Start(ctx, buildkit.Options{
		Buildkitd: program, Dir: filepath.Join(dir, "buildkit"), Socket: filepath.Join(dir, "buildkitd.sock"),
	})
	if err != nil {
		return nil, err
	}
	b := &Builder{daemon: daemon, contexts: contexts}
	if b.client, err = buildx.New(buildx.Options{Program: clientProgram, Dir: filepath.Join(dir, "buildx")}); err == nil {
		// The builder of an earlier run points to where the checkout was then. There
		// is none at first, which is no fault.
		_ = b.client.Run(ctx, "rm", builderName)
		err = b.client.Run(ctx, "create", "--name", builderName, "--driver", "remote", daemon.Endpoint())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to BuildKit: %w", err), daemon.Close())
	}
	return b, nil
}

// Close ends BuildKit and keeps its cache.
func (b *Builder) Close() error { return b.daemon.Close() }

// Build is one run of a Dockerfile.
type Build struct {
	Dockerfile string
	// Context is a directory or a git URL.
	Context   string
	Platforms []string
	Args      map[string]string
	// Target is a stage to stop at, empty for the image itself.
	Target string
	// Contexts replace further images, or those that the builder replaces.
	Contexts map[string]string
	// Layout is the directory that the result is written to, as an OCI layout.
	Layout string
	// Files is the directory that the result's files are written to. Without it
	// and Layout the result stays in BuildKit's cache.
	Files string
}

// Run builds and returns BuildKit's log, which tells what came from the cache.
func (b *Builder) Run(ctx context.Context, build Build) (string, error) {
	dockerfile, err := filepath.Abs(build.Dockerfile)
	if err != nil {
		return "", fmt.Errorf("resolving the Dockerfile: %w", err)
	}
	output := "type=cacheonly"
	if build.Layout != "" {
		if err := os.RemoveAll(build.Layout); err != nil {
			return "", fmt.Errorf("removing the image of an earlier build: %w", err)
		}
		output = "type=oci,tar=false,dest=" + build.Layout
	}
	if build.Files != "" {
		output = "type=local,dest=" + build.Files
	}
	args := []string{
		"build", "--builder", builderName, "--progress", "plain", "--provenance=false",
		"--file", dockerfile, "--platform", strings.Join(build.Platforms, ","), "--output", output,
	}
	if build.Target != "" {
		args = append(args, "--target", build.Target)
	}
	for _, name := range slices.Sorted(maps.Keys(build.Args)) {
		args = append(args, "--build-arg", name+"="+build.Args[name])
	}
	contexts := map[string]string{}
	maps.Copy(contexts, b.contexts)
	maps.Copy(contexts, build.Contexts)
	for _, name := range slices.Sorted(maps.Keys(contexts)) {
		args = append(args, "--build-context", name+"="+contexts[name])
	}
	command := b.client.Command(ctx, "", append(args, build.Context)...)
	var log bytes.Buffer
	command.Stdout, command.Stderr = io.Discard, &log
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return log.String(), fmt.Errorf("building %s: %w; the end of its log:\n%s", build.Context, err, end(log.String(), 30))
	}
	return log.String(), nil
}

func end(log string, lines int) string {
	all := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Packages are the Debian packages that building needs on this machine.
func Packages() []string { return append([]string{"runc"}, bases.Packages()...) }
