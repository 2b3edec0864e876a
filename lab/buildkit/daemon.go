package buildkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/clawft/infra/lab/flock"
)

const (
	// readyTimeout is generous: on a busy machine the first start creates
	// databases on a slow disk.
	readyTimeout = 60 * time.Second
	// stopTimeout is what running build steps get to end before they are killed.
	stopTimeout = 15 * time.Second
	// maxSocketPath is the kernel's limit for the name of a unix socket.
	maxSocketPath = 107
)

// Options describe a daemon.
type Options struct {
	// Buildkitd is the program.
	Buildkitd string
	// Dir holds the daemon's cache, configuration and log. It is made if absent.
	Dir string
	// Socket is where the daemon listens.
	Socket string
	// Registries maps a registry, as it is written in an image reference, to the
	// PEM file of the certificate authority that vouches for it.
	Registries map[string]string
}

// Daemon is one process's use of a running daemon.
type Daemon struct {
	opts    Options
	process *exec.Cmd // nil if another process started it
	exited  chan struct{}
	use     *flock.Lock
}

// Start returns once the daemon accepts builds. It starts one unless a live
// process already did so on the same directory with the same options.
func Start(ctx context.Context, opts Options) (*Daemon, error) {
	if err := opts.resolve(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making BuildKit's directory: %w", err)
	}
	turn, err := takeTurn(ctx, opts.Dir)
	if err != nil {
		return nil, err
	}
	defer turn.Release()

	use, alone, err := beginUse(opts.Dir)
	if err != nil {
		return nil, err
	}
	d := &Daemon{opts: opts, use: use}
	if alone {
		err = d.launch(ctx)
	} else {
		err = d.join(ctx)
	}
	if err != nil {
		use.Release()
		return nil, err
	}
	return d, nil
}

// Socket is the path of the daemon's unix socket.
func (d *Daemon) Socket() string { return d.opts.Socket }

// Endpoint is the socket in the form that buildx's remote driver takes.
func (d *Daemon) Endpoint() string { return "unix://" + d.opts.Socket }

// Close ends the daemon, its build steps and its mounts, unless another
// process still uses it.
func (d *Daemon) Close() error {
	turn, err := takeTurn(context.Background(), d.opts.Dir)
	if err != nil {
		return err
	}
	defer turn.Release()
	last, err := endUse(d.use)
	if err != nil || !last {
		return err
	}
	return end(d.opts.Dir, d.exited)
}

// ErrInUse is what Stop returns while a live process uses the daemon.
var ErrInUse = errors.New("another process of the lab uses it; end that one first")

// Stop ends a daemon that a killed process left behind on dir, and does
// nothing if there is none. It refuses while a live process uses the daemon.
func Stop(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("resolving BuildKit's directory: %w", err)
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	turn, err := takeTurn(ctx, dir)
	if err != nil {
		return err
	}
	defer turn.Release()
	use, alone, err := beginUse(dir)
	if err != nil {
		return err
	}
	defer use.Release()
	if !alone {
		return fmt.Errorf("stopping BuildKit in %s: %w", dir, ErrInUse)
	}
	return end(dir, nil)
}

func (o *Options) resolve() error {
	if os.Geteuid() != 0 {
		return errors.New("starting BuildKit: build steps need root; run the lab as root")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return fmt.Errorf("starting BuildKit: build steps run under runc, which is missing; install it (apt-get install runc): %w", err)
	}
	for _, path := range []*string{&o.Buildkitd, &o.Dir, &o.Socket} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("starting BuildKit: resolving %s: %w", *path, err)
		}
		*path = abs
	}
	if len(o.Socket) > maxSocketPath {
		return fmt.Errorf("starting BuildKit: the socket's path %s has %d characters, the system allows %d; "+
			"use a directory with a shorter path", o.Socket, len(o.Socket), maxSocketPath)
	}
	return nil
}

// launch starts the daemon. Nobody else uses it, so one that still runs was
// left behind by a killed process; its builds have nobody to report to.
func (d *Daemon) launch(ctx context.Context) error {
	if err := end(d.opts.Dir, nil); err != nil {
		return err
	}
	if err := os.WriteFile(configPath(d.opts.Dir), d.opts.config(), 0o600); err != nil {
		return fmt.Errorf("writing BuildKit's configuration: %w", err)
	}
	log, err := os.Create(logPath(d.opts.Dir))
	if err != nil {
		return fmt.Errorf("creating BuildKit's log: %w", err)
	}
	defer log.Close()

	// It lives until Close, not as long as the context of its start.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), d.opts.Buildkitd, "--config", configPath(d.opts.Dir))
	cmd.Stdout, cmd.Stderr = log, log
	// Its temporary files, which hold mounts, go where end looks for them. Unset,
	// the other variable would make it report to systemd on behalf of the lab.
	cmd.Env = append(os.Environ(), "TMPDIR="+d.opts.Dir, "NOTIFY_SOCKET=")
	// A group of its own: Ctrl-C is for the lab, which then ends the daemon in
	// an orderly way.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting BuildKit: %w", err)
	}
	d.process, d.exited = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(d.exited)
	}()

	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := d.waitReady(ctx); err != nil {
		return errors.Join(err, end(d.opts.Dir, d.exited))
	}
	return nil
}

func (d *Daemon) waitReady(ctx context.Context) error {
	for {
		if answers(ctx, d.opts.Socket) {
			return nil
		}
		select {
		case <-d.exited:
			return fmt.Errorf("starting BuildKit: it exited (%s):\n%s", d.process.ProcessState, logTail(d.opts.Dir))
		case <-ctx.Done():
			return fmt.Errorf("starting BuildKit: waiting for %s: %w:\n%s", d.opts.Socket, ctx.Err(), logTail(d.opts.Dir))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// join uses the daemon that another live process started.
func (d *Daemon) join(ctx context.Context) error {
	if running, err := os.ReadFile(configPath(d.opts.Dir)); err != nil || string(running) != string(d.opts.config()) {
		return fmt.Errorf("starting BuildKit: another process of the lab runs it in %s with other settings; end that one first", d.opts.Dir)
	}
	if !answers(ctx, d.opts.Socket) {
		return fmt.Errorf("starting BuildKit: another process of the lab uses it in %s, but it does not answer on %s; "+
			"end that process first", d.opts.Dir, d.opts.Socket)
	}
	return nil
}

func answers(ctx context.Context, socket string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func logPath(dir string) string { return filepath.Join(dir, "buildkitd.log") }

// logTail is the end of the daemon's log, for an error message.
func logTail(dir string) string {
	data, err := os.ReadFile(logPath(dir))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
