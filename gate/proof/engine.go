package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// removeTimeout bounds removing what a smoke test has made.
const removeTimeout = time.Minute

// docker runs Docker's command line and returns what it prints.
func docker(ctx context.Context, in io.Reader, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "docker", args...)
	command.Stdin, command.Stdout, command.Stderr = in, &stdout, &stderr
	// What feeds its input may be slower to notice that it has ended.
	command.WaitDelay = time.Second
	err := command.Run()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// remove runs a command of Docker's that removes something. That there is
// nothing to remove is right as well.
func remove(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	_, err := docker(ctx, nil, args...)
	if err != nil && strings.Contains(err.Error(), "No such ") {
		return nil
	}
	return err
}

// enginePlatform is the platform of this machine's Docker engine, such as
// linux/amd64.
func enginePlatform(ctx context.Context) (string, error) {
	platform, err := docker(ctx, nil, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
	if err != nil {
		return "", fmt.Errorf("%w; the smoke test starts the image in a Docker engine on this machine: "+
			"start one, or set clawft:image.smokeTest to false, and the first start is the hosts' preflight", err)
	}
	return platform, nil
}

// mapsUsers is true of an engine whose containers' UIDs are others outside.
func mapsUsers(ctx context.Context) (bool, error) {
	options, err := docker(ctx, nil, "info", "--format", "{{.SecurityOptions}}")
	return strings.Contains(options, "name=rootless") || strings.Contains(options, "name=userns"), err
}

// load copies an image from its registry into the engine, under a tag of its
// own, and returns the ID that the engine gives it. The engine needs neither a
// login nor trust in the registry.
func load(ctx context.Context, image v1.Image, tag string) (string, error) {
	ref, err := name.NewTag(tag)
	if err != nil {
		return "", fmt.Errorf("naming the image: %w", err)
	}
	from, to := io.Pipe()
	pulled := make(chan error, 1)
	go func() {
		err := tarball.Write(ref, image, to)
		to.CloseWithError(err)
		pulled <- err
	}()
	_, err = docker(ctx, from, "load", "--quiet")
	from.CloseWithError(errors.New("the engine takes no more"))
	if pullErr := <-pulled; err != nil && pullErr != nil {
		err = errors.Join(pullErr, err)
	}
	if err != nil {
		return "", fmt.Errorf("loading the image into the engine: %w", err)
	}
	return docker(ctx, nil, "image", "inspect", "--format", "{{.Id}}", tag)
}
