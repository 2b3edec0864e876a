package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout is generous: the first start makes databases and networks.
	startTimeout = 60 * time.Second
	// stopTimeout is past the 15 s that the engine gives its containers.
	stopTimeout = 40 * time.Second
)

// daemon is the engine that the lab of a checkout has started.
type daemon struct {
	dir string // of its log
	// label, an argument that changes nothing else, marks the process as this
	// checkout's. Unlike a noted process number it cannot mean another process
	// after a reboot, nor be lost when the lab is killed before noting it.
	label string
}

func daemonOf(root string) (daemon, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return daemon{}, fmt.Errorf("resolving the checkout's directory: %w", err)
	}
	return daemon{
		dir:   filepath.Join(root, ".lab", "engine"),
		label: "--label=clawft.lab.engine=" + root,
	}, nil
}

func (d daemon) log() string { return filepath.Join(d.dir, "dockerd.log") }

// start runs an engine in the background, with its usual socket and data: it is
// the machine's engine, which the user can look into with plain `docker`.
func (d daemon) start(ctx context.Context, progress Progress) error {
	if d.running() == 0 {
		progress("starting a Docker engine (log: %s)", d.log())
		if err := d.launch(ctx); err != nil {
			return fmt.Errorf("starting the Docker engine: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		version, err := ask(ctx)
		if err == nil {
			progress("started the Docker engine %s", version)
			return nil
		}
		if d.running() == 0 {
			return fmt.Errorf("starting the Docker engine: it ended:\n%s", d.logTail())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("starting the Docker engine: no answer (%w):\n%s", err, d.logTail())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (d daemon) launch(ctx context.Context) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("making its directory: %w", err)
	}
	log, err := os.Create(d.log())
	if err != nil {
		return fmt.Errorf("creating its log: %w", err)
	}
	defer log.Close()
	// It outlives this process, and with a session of its own also the terminal.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), findProgram("dockerd"), d.label)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = log, log
	// It looks for containerd and iptables there.
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // or an engine that ended would look alive
	return nil
}

func (d daemon) logTail() string {
	data, err := os.ReadFile(d.log())
	if err != nil {
		return err.Error()
	}
	return lastLines(string(data), 10)
}

// Stop ends the engine if the lab of this checkout has started it and no
// container runs in it any more; any other engine it leaves alone.
func Stop(ctx context.Context, root string, progress Progress) error {
	d, err := daemonOf(root)
	if err != nil {
		return err
	}
	if pid := d.running(); pid != 0 {
		containers, err := docker(ctx, "ps", "--format", "{{.Names}}")
		if err != nil {
			return fmt.Errorf("looking for containers before stopping the Docker engine: %w", err)
		}
		if containers != "" {
			progress("leaving the Docker engine to the containers that still run: %s; end it with: kill %d",
				strings.Join(strings.Fields(containers), ", "), pid)
			return nil
		}
		if err := d.end(ctx, pid); err != nil {
			return err
		}
		progress("stopped the Docker engine that the lab had started")
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("removing the engine's directory: %w", err)
	}
	return nil
}

func (d daemon) end(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the Docker engine (process %d): %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for {
		if d.running() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopping the Docker engine: process %d still runs (%w); see %s", pid, ctx.Err(), d.log())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// running is the number of the engine's process, or 0 if there is none.
func (d daemon) running() int {
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0
	}
	for _, file := range processes {
		command, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		if slices.Contains(strings.Split(string(command), "\x00"), d.label) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	return 0
}
