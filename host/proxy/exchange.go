package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How a process hands over to its successor, each by one byte on a socket that both have:
//
//	successor: I answer clients, beside you         (ready)
//	predecessor: systemd knows you, the rest is yours (yours)
//	successor: I serve the control socket           (thanks)
//
// Until "yours", the predecessor can take everything back. From the end of the socket the
// successor concludes the same as from "yours": if the predecessor was killed before systemd
// knew of the successor, systemd ends that as well and starts the service anew.
const (
	ready  = 'r'
	yours  = 'y'
	thanks = 't'
)

const (
	// predecessorVar tells a process that it is a successor.
	predecessorVar = "CLAWFT_PROXY_PREDECESSOR"
	handoverKept   = "handover"
	// holdTime is how long an exchange waits for a deployment.
	holdTime = time.Minute
	// successorTime is how long a new process may take for each step.
	successorTime = 30 * time.Second
)

// handover is one end of that socket; nil without another process.
type handover struct{ *net.UnixConn }

// say sends a byte.
func (h *handover) say(what byte) error {
	_, err := h.Write([]byte{what})
	return err
}

// hear waits for a byte.
func (h *handover) hear(what byte) error {
	if err := h.SetReadDeadline(time.Now().Add(successorTime)); err != nil {
		return err
	}
	got := []byte{0}
	if _, err := h.Read(got); err != nil {
		return err
	}
	if got[0] != what {
		return fmt.Errorf("got %q instead of %q", got, what)
	}
	return nil
}

// exchange starts the binary that is installed now and lets it take over. An error says why
// this process still serves.
func (p *Proxy) exchange(ctx context.Context) error {
	if err := p.beginExchange(ctx); err != nil {
		return err
	}
	h, successor, err := p.startSuccessor()
	if err == nil {
		if err = h.hear(ready); err != nil {
			err = fmt.Errorf("waiting for the new process, whose log says more: %w", err)
			_ = successor.Kill()
			_ = h.Close()
		}
	}
	if err != nil {
		p.mu.Lock()
		p.handing = false
		p.mu.Unlock()
		return fmt.Errorf("exchanging the proxy: %w", err)
	}
	defer func() { _ = h.Close() }()
	p.handOver(successor.Pid)
	_ = successor.Release()
	if err := errors.Join(h.say(yours), h.hear(thanks)); err != nil {
		return fmt.Errorf("exchanging the proxy: the new process took over and ended: %w", err)
	}
	return nil
}

// beginExchange waits until nobody holds anything, since a hold cannot be handed over.
func (p *Proxy) beginExchange(ctx context.Context) error {
	until := time.Now().Add(holdTime)
	for {
		p.mu.Lock()
		switch {
		case p.handing:
			p.mu.Unlock()
			return errors.New("the proxy is being exchanged already")
		case p.busy == 0:
			p.handing = true
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
		if time.Now().After(until) {
			return fmt.Errorf("a deployment holds the requests of %s: exchange the proxy after it", strings.Join(p.held(), ", "))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for a deployment: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// held names the gateways that are.
func (p *Proxy) held() []string {
	var names []string
	for name, g := range fronts.all() {
		if g.state().HeldSince != nil {
			names = append(names, name)
		}
	}
	return names
}

// startSuccessor starts the new process with a copy of all listeners, as systemd would.
func (p *Proxy) startSuccessor() (*handover, *os.Process, error) {
	program, err := exec.LookPath(os.Args[0])
	if err != nil {
		return nil, nil, fmt.Errorf("finding the new binary: %w", err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket for the new process: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), handoverKept)
	ours, err := handoverOn(os.NewFile(uintptr(pair[0]), handoverKept))
	files := []*os.File{nil, os.Stdout, os.Stderr, theirs}
	names := []string{handoverKept}
	defer func() {
		for _, file := range files[firstDescriptor:] {
			_ = file.Close()
		}
	}()
	add := func(name string, l *net.UnixListener) {
		file, copyErr := descriptor(l)
		if copyErr != nil {
			err = errors.Join(err, copyErr)
			return
		}
		files, names = append(files, file), append(names, name)
	}
	add(controlKept, p.listens)
	for gateway, l := range fronts.doors.listeners() {
		add(doorKept+gateway, l)
	}
	if err != nil {
		return nil, nil, err
	}
	process, err := os.StartProcess(program, os.Args, &os.ProcAttr{
		Env: append(os.Environ(), predecessorVar+"="+strconv.Itoa(os.Getpid()),
			"LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":")),
		Files: files,
		// A sibling, not a child: systemd gets to know when it ends, and this process need not stay for that.
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_PARENT},
	})
	if err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("starting the new binary: %w", err)
	}
	return ours, process, nil
}

// handOver is the point of no return.
func (p *Proxy) handOver(successor int) {
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	fronts.retiring.Store(true)
	fronts.doors.leave()
	// Before anybody can ask the successor, it can ask here for what this process still has.
	if l, err := listen(retiringSocket(p.Dir, strconv.Itoa(os.Getpid())), 0o600); err != nil {
		p.log.Error("nobody can hold the requests that this process still has", "error", err)
	} else {
		p.serve(l, func() bool { return true })
	}
	if err := p.systemd.tell("MAINPID=" + strconv.Itoa(successor)); err != nil {
		p.log.Error("handing over", "error", err)
	}
	_ = p.listens.Close()
	close(p.retired)
}

// takeHandover finds the predecessor among what was inherited, if there is one.
func takeHandover(kept map[string]*os.File) (*handover, error) {
	file, ok := kept[handoverKept]
	if !ok {
		return nil, nil
	}
	delete(kept, handoverKept)
	return handoverOn(file)
}

// replace tells the predecessor that its clients are answered, and waits until it has let go.
func (h *handover) replace() error {
	if h == nil {
		return nil
	}
	if err := h.say(ready); err != nil {
		return fmt.Errorf("taking over from the old process: %w", err)
	}
	// Its end means the same.
	_ = h.hear(yours)
	return nil
}

// thank tells the predecessor that everything is taken over.
func (h *handover) thank() {
	if h != nil {
		_ = h.say(thanks) // the predecessor need not be there to hear it
		_ = h.Close()
	}
}

func handoverOn(file *os.File) (*handover, error) {
	defer func() { _ = file.Close() }()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("talking to another process: %w", err)
	}
	unixConn, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("talking to another process: it is no socket")
	}
	return &handover{unixConn}, nil
}

// retiringSocket is where a process is asked after it was replaced. The name may be a pattern.
func retiringSocket(dir, process string) string {
	return filepath.Join(dir, ownDirectory, "retiring-"+process+".sock")
}

// retiring are the processes before this one that have something under way still.
func (p *Proxy) retiring(ctx context.Context) []caller {
	if p.isGone() {
		return nil
	}
	paths, err := filepath.Glob(retiringSocket(p.Dir, "*"))
	if err != nil {
		p.log.Error("looking for processes that retire", "error", err)
	}
	var others []caller
	for _, path := range paths {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
		if err != nil {
			if ctx.Err() == nil {
				_ = os.Remove(path) // its process has ended
			}
			continue
		}
		_ = c.Close()
		others = append(others, caller{path})
	}
	return others
}
