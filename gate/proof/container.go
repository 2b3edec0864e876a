package proof

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const (
	// What the gateway's unit on a host says as well: clawft.service.
	configPath    = "/etc/clawft/config.json"
	dataDirectory = "/home/weft/.clawft"
	// stopSeconds is how long the gateway may take to stop, past its own 10 s.
	stopSeconds = 15
	// port is where the gateway listens in its container.
	port = 8080
	// label is on everything that a smoke test makes in the engine.
	label = "clawft.gate=smoke"
	// logLines is how much of the gateway's log an error shows.
	logLines = 20
)

// minimalConfig is the smallest with which the gateway starts.
const minimalConfig = `{"agents":{"defaults":{"workspace":"~/.clawft/workspace"}},` +
	`"gateway":{"host":"0.0.0.0","apiPort":8080,"apiEnabled":true}}`

// container is a gateway that was started here, confined as on a host.
type container struct {
	name string
	// address is where its API is reached on this machine.
	address string
}

// create makes a container of an image and gives it its config. It does not run
// yet.
func (c *container) create(ctx context.Context, imageID string) error {
	if _, err := docker(ctx, nil, "create", "--name", c.name, "--label", label,
		"--publish", fmt.Sprintf("127.0.0.1::%d", port),
		"--read-only", "--tmpfs", "/tmp:rw,nosuid,nodev,size=64m,mode=1777",
		"--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--memory", "512m", "--memory-swap", "512m", "--pids-limit", "256",
		"--stop-timeout", fmt.Sprint(stopSeconds),
		// Volumes and not this machine's directories: the engine may not see those.
		"--mount", "type=volume,volume-label="+label+",destination="+dataDirectory,
		"--mount", "type=volume,volume-label="+label+",destination=/etc/clawft",
		"--env", "HOME=/home/weft", "--env", "WEFTOS_NO_UPDATE_CHECK=1",
		imageID, "gateway", "--config", configPath,
	); err != nil {
		return err
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	if err := writer.WriteHeader(&tar.Header{Name: "config.json", Mode: 0o644, Size: int64(len(minimalConfig))}); err != nil {
		return fmt.Errorf("packing the config: %w", err)
	}
	if _, err := writer.Write([]byte(minimalConfig)); err != nil {
		return fmt.Errorf("packing the config: %w", err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("packing the config: %w", err)
	}
	_, err := docker(ctx, &archive, "cp", "-", c.name+":/etc/clawft")
	return err
}

// start runs it and finds out where it is reached.
func (c *container) start(ctx context.Context) error {
	if _, err := docker(ctx, nil, "start", c.name); err != nil {
		return err
	}
	addresses, err := docker(ctx, nil, "port", c.name, fmt.Sprintf("%d/tcp", port))
	if err != nil {
		// A container that has ended already publishes nothing any more.
		if state, stateErr := c.state(ctx); stateErr == nil && !state.Running {
			return state.exited()
		}
		return err
	}
	c.address, _, _ = strings.Cut(addresses, "\n")
	return nil
}

// state is what the engine says of a container.
type state struct {
	Running   bool
	ExitCode  int
	OOMKilled bool
	Health    struct {
		Status string
		Log    []struct{ Output string }
	}
}

func (s state) exited() error {
	if s.OOMKilled {
		return errors.New("the gateway was killed because it took more than 512 MiB of memory")
	}
	return fmt.Errorf("the gateway exited with code %d", s.ExitCode)
}

func (c *container) state(ctx context.Context) (state, error) {
	text, err := docker(ctx, nil, "inspect", "--format", "{{json .State}}", c.name)
	if err != nil {
		return state{}, err
	}
	var state state
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return state, fmt.Errorf("reading the container's state: %w", err)
	}
	return state, nil
}

// users are the UIDs that its processes run as, as this machine sees them.
func (c *container) users(ctx context.Context) ([]string, error) {
	table, err := docker(ctx, nil, "top", c.name, "-eo", "uid,pid")
	if err != nil {
		return nil, err
	}
	var users []string
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] != "UID" && !slices.Contains(users, fields[0]) {
			users = append(users, fields[0])
		}
	}
	return users, nil
}

// stop asks it to stop, as systemd does on a host, and returns how long that
// took and how it ended.
func (c *container) stop(ctx context.Context) (time.Duration, state, error) {
	started := time.Now()
	if _, err := docker(ctx, nil, "stop", c.name); err != nil {
		return 0, state{}, err
	}
	took := time.Since(started)
	ended, err := c.state(ctx)
	return took, ended, err
}

// withLog adds the gateway's last log lines to an error.
func (c *container) withLog(ctx context.Context, err error) error {
	// Both outputs are its log, in the order in which they were written.
	log, logErr := exec.CommandContext(ctx, "docker", "logs", "--tail", fmt.Sprint(logLines), c.name).CombinedOutput()
	switch lines := strings.TrimSpace(string(log)); {
	case logErr != nil:
		return fmt.Errorf("%w; its log could not be read: %w: %s", err, logErr, lines)
	case lines == "":
		return fmt.Errorf("%w; it logged nothing", err)
	default:
		return fmt.Errorf("%w; its last log lines:\n  | %s", err, strings.ReplaceAll(lines, "\n", "\n  | "))
	}
}
