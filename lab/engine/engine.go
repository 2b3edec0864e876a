package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// askTimeout bounds a question to an engine that may hang.
const askTimeout = 10 * time.Second

// Ensure returns once a Docker engine answers. It uses the one that runs; it
// installs and starts one if there is none and this process may do so.
func Ensure(ctx context.Context, root string, progress Progress) error {
	version, err := ask(ctx)
	if err == nil {
		progress("using the Docker engine %s that runs", version)
		return nil
	}
	if err := elsewhere(err); err != nil {
		return err
	}
	if err := Packages(ctx, progress, "docker.io", "iptables"); err != nil {
		return err
	}
	// Up to Debian 12 the client came with docker.io.
	if err := Packages(ctx, progress, "docker-cli"); err != nil {
		return err
	}
	if version, err = ask(ctx); err == nil {
		progress("using the Docker engine %s, which its package has started", version)
		return nil
	}
	if underSystemd() {
		return fmt.Errorf("the Docker engine does not run (%w); start it with: sudo systemctl start docker", err)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("the Docker engine does not run (%w), and starting it needs root; run the lab as root", err)
	}
	d, err := daemonOf(root)
	if err != nil {
		return err
	}
	return d.start(ctx, progress)
}

// elsewhere tells what starting an engine here would not cure, given why none
// answers.
func elsewhere(why error) error {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return fmt.Errorf("DOCKER_HOST is %s, but no Docker engine answers there; "+
			"unset it to use this machine's engine: %w", host, why)
	}
	if strings.Contains(why.Error(), "permission denied") {
		return fmt.Errorf("a Docker engine runs, but this user may not talk to it; "+
			"run the lab as root, or run `sudo adduser $USER docker` and log in again: %w", why)
	}
	return nil
}

// underSystemd is the test that sd_booted(3) documents.
func underSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// ask returns the version of the engine that answers. It uses the client, which
// honours DOCKER_HOST and contexts as the user has set them.
func ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return docker(ctx, "version", "--format", "{{.Server.Version}}")
}

// docker returns the trimmed output of the Docker client.
func docker(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("docker %s: %s", args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("docker %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
