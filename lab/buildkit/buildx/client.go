// Package buildx runs the buildx client with a configuration of the lab's own:
// the user's builders and logins are neither used nor changed.
package buildx

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// interruptGrace is what a cancelled command gets to tell the daemon that
// nobody waits for the build any more.
const interruptGrace = 5 * time.Second

// Options describe a client.
type Options struct {
	// Program is the buildx binary.
	Program string
	// Dir holds the configuration: which builders there are. It is made if absent.
	Dir string
	// Authorities are PEM files of certificate authorities that the client trusts
	// beside the machine's own. BuildKit fetches and pushes itself; what the
	// client asks a registry is about tags.
	Authorities []string
}

// Client runs buildx commands.
type Client struct {
	program, dir, authorities string
}

// New makes the client's directory.
func New(opts Options) (*Client, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolving the directory of buildx: %w", err)
	}
	c := &Client{program: opts.Program, dir: dir, authorities: filepath.Join(dir, "authorities")}
	if err := os.MkdirAll(c.authorities, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of buildx: %w", err)
	}
	for i, path := range opts.Authorities {
		authority, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a certificate authority for buildx: %w", err)
		}
		if err := os.WriteFile(filepath.Join(c.authorities, fmt.Sprintf("%d.crt", i)), authority, 0o600); err != nil {
			return nil, fmt.Errorf("copying a certificate authority for buildx: %w", err)
		}
	}
	return c, nil
}

// Command is a buildx command. dockerConfig is a directory whose config.json
// holds the registry logins to use; empty means none.
func (c *Client) Command(ctx context.Context, dockerConfig string, args ...string) *exec.Cmd {
	if dockerConfig == "" {
		dockerConfig = c.dir
	}
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Env = append(os.Environ(),
		"BUILDX_CONFIG="+filepath.Join(c.dir, "buildx"),
		"DOCKER_CONFIG="+dockerConfig,
		// The machine's own authorities come from a file, which stays in effect.
		"SSL_CERT_DIR="+c.certificateDirs(),
		// Another builder than the one that was asked for would be used otherwise.
		"BUILDX_BUILDER=", "BUILDKIT_HOST=",
	)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = interruptGrace
	return cmd
}

// Run runs a command that has nothing to say but why it failed.
func (c *Client) Run(ctx context.Context, args ...string) error {
	output, err := c.Command(ctx, "", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, message(string(output)))
	}
	return nil
}

func (c *Client) certificateDirs() string {
	dirs := []string{c.authorities}
	if given := os.Getenv("SSL_CERT_DIR"); given != "" {
		dirs = append(dirs, given)
	}
	return strings.Join(dirs, ":")
}

// message is what buildx says went wrong, which comes last.
func message(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "ERROR: ")
}
