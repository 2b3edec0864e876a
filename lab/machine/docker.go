package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// docker runs the docker client. The client rather than the engine's API: it
// honours DOCKER_HOST and contexts as the user has set them, and it is what a
// user would type to look at the lab.
type docker struct{}

// run returns the trimmed standard output; an error carries standard error.
func (docker) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err == nil {
		return strings.TrimSpace(out.String()), nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("docker %s: %w", args[0], context.Cause(ctx))
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", &dockerError{verb: args[0], status: exit.ExitCode(), message: strings.TrimSpace(errs.String())}
	}
	return "", fmt.Errorf("running the docker client: %w", err)
}

// ok tells whether a command that asks a question, such as "image inspect",
// found what it asked for.
func (d docker) ok(ctx context.Context, args ...string) (bool, error) {
	_, err := d.run(ctx, args...)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// dockerError is the engine's refusal, in its own words.
type dockerError struct {
	verb    string
	status  int
	message string
}

func (e *dockerError) Error() string {
	return fmt.Sprintf("docker %s: exit status %d: %s", e.verb, e.status, e.message)
}

// isInUse recognizes the refusal to remove what a container still uses.
func isInUse(err error) bool {
	e := (*dockerError)(nil)
	return errors.As(err, &e) && strings.Contains(e.message, "conflict")
}

// isNotFound recognizes the engine's "there is no such thing" for every kind
// of object; the client has no exit status for it.
func isNotFound(err error) bool {
	e := (*dockerError)(nil)
	if !errors.As(err, &e) {
		return false
	}
	m := strings.ToLower(e.message)
	return strings.Contains(m, "no such ") || strings.Contains(m, "not found")
}
