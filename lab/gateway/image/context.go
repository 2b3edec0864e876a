// Package image writes the build context of the lab's gateway image.
package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is where the lab's gateway is built from.
const module = "github.com/clawft/infra/lab/gateway"

// BuildContext writes the context of the lab's gateway image into dir: the
// Dockerfile, the binaries of each platform ("linux/amd64", "linux/arm64") and
// the empty data directory.
//
// root is the checkout. version is what the gateway reports; fault is one of
// package main's faults, or empty for a sound gateway. The same arguments, sources
// and Go release give the same bytes and modes on every machine, so the context's
// hash moves only when the image does.
func BuildContext(ctx context.Context, root, dir, version, fault string, platforms []string) error {
	if version == "" || strings.ContainsAny(version+fault, " '\"") {
		return fmt.Errorf("version %q, fault %q: want a version, and neither may hold spaces or quotes", version, fault)
	}
	if len(platforms) == 0 {
		return errors.New("no platform given: want at least one, for example linux/amd64")
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "lab", "gateway", "Dockerfile"))
	if err != nil {
		return fmt.Errorf("reading the lab gateway's Dockerfile: %w", err)
	}
	for _, sub := range []string{"home", "home/.clawft"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return fmt.Errorf("creating build context: %w", err)
		}
		if err := os.Chmod(filepath.Join(dir, sub), 0o755); err != nil {
			return fmt.Errorf("creating build context: %w", err)
		}
	}
	if err := replace(filepath.Join(dir, "Dockerfile"), dockerfile, 0o644); err != nil {
		return err
	}
	flags := "-s -w -buildid= -X main.version=" + version + " -X main.fault=" + fault
	keep := map[string]bool{}
	for _, platform := range platforms {
		if platform != "linux/amd64" && platform != "linux/arm64" {
			return fmt.Errorf("platform %q: want linux/amd64 or linux/arm64", platform)
		}
		keep[platform] = true
		out := filepath.Join(dir, filepath.FromSlash(platform))
		if err := build(ctx, root, platform, flags, module, filepath.Join(out, "weft")); err != nil {
			return err
		}
		if err := build(ctx, root, platform, "-s -w -buildid=", module+"/health", filepath.Join(out, "weft-health")); err != nil {
			return err
		}
	}
	return removeOthers(dir, keep)
}

// build compiles one static binary to out, and leaves out alone if it is the same.
func build(ctx context.Context, root, platform, ldflags, pkg, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("creating build context: %w", err)
	}
	temporary := out + ".new"
	defer os.Remove(temporary)
	goos, goarch, _ := strings.Cut(platform, "/")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", temporary, pkg)
	command.Dir = filepath.Join(root, "lab")
	// GOAMD64 and GOARM64 would otherwise come from the machine.
	command.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s for %s: %w\n%s", pkg, platform, err, output)
	}
	binary, err := os.ReadFile(temporary)
	if err != nil {
		return fmt.Errorf("reading built binary: %w", err)
	}
	return replace(out, binary, 0o755)
}

// replace writes content to path, and leaves a file alone that already holds it.
func replace(path string, content []byte, mode fs.FileMode) error {
	if have, err := os.ReadFile(path); err != nil || string(have) != string(content) {
		if err := os.WriteFile(path, content, mode); err != nil {
			return fmt.Errorf("writing build context: %w", err)
		}
	}
	// The user's umask must not decide who can run the binary.
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("writing build context: %w", err)
	}
	return nil
}

// removeOthers drops the platforms of an earlier run, which would change the hash.
func removeOthers(dir string, keep map[string]bool) error {
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		if keep[platform] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, filepath.FromSlash(platform))); err != nil {
			return fmt.Errorf("removing %s from the build context: %w", platform, err)
		}
	}
	return nil
}
