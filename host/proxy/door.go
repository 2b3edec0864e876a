package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// doorMode lets in whoever owns the socket and its group. The group is the directory's.
const doorMode = 0o660

// doorAddr is the address of a gateway's socket: the gateway's name.
type doorAddr string

func (doorAddr) Network() string  { return "clawft" }
func (a doorAddr) String() string { return string(a) }

// doors are the listeners of all gateways as one, which Caddy serves: one that comes or goes
// needs no new configuration, and so ends nobody's connection.
type doors struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
	open  atomic.Int64 // connections

	mu   sync.Mutex
	each map[string]*door
}

type door struct {
	listener *net.UnixListener
	accepts  sync.WaitGroup
}

func newDoors() *doors {
	return &doors{conns: make(chan net.Conn), over: make(chan struct{}), each: map[string]*door{}}
}

// Accept returns the next connection of any door.
func (d *doors) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.over:
		return nil, net.ErrClosed
	}
}

// Addr is for messages only.
func (d *doors) Addr() net.Addr { return doorAddr("gateways") }

// Close has Accept end. The doors stay open: they are closed one by one.
func (d *doors) Close() error {
	d.once.Do(func() { close(d.over) })
	return nil
}

// add begins to accept what comes to a gateway's listener.
func (d *doors) add(gateway string, l *net.UnixListener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l.SetUnlinkOnClose(false)
	it := &door{listener: l}
	d.each[gateway] = it
	it.accepts.Go(func() { d.accept(gateway, l) })
}

func (d *doors) accept(gateway string, l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			// No file descriptors left, for one: whoever comes waits until there are.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		d.open.Add(1)
		select {
		case d.conns <- &conn{UnixConn: c, at: doorAddr(gateway), closed: sync.OnceFunc(func() { d.open.Add(-1) })}:
		case <-d.over:
			_ = c.Close()
		}
	}
}

// has tells whether a gateway has a door.
func (d *doors) has(gateway string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.each[gateway] != nil
}

// remove closes a gateway's door. Connections stay.
func (d *doors) remove(gateway string) {
	d.mu.Lock()
	it := d.each[gateway]
	delete(d.each, gateway)
	d.mu.Unlock()
	if it != nil {
		_ = it.listener.Close()
		it.accepts.Wait()
	}
}

// leave stops accepting. Who is at a door waits for whoever else has its listener.
func (d *doors) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for gateway, it := range d.each {
		// A connection that was accepted is still served: closing would not wait for that.
		_ = it.listener.SetDeadline(time.Unix(1, 0))
		it.accepts.Wait()
		_ = it.listener.Close()
		delete(d.each, gateway)
	}
}

// listeners returns the listener of each gateway.
func (d *doors) listeners() map[string]*net.UnixListener {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string]*net.UnixListener, len(d.each))
	for gateway, it := range d.each {
		all[gateway] = it.listener
	}
	return all
}

// conn is a client's connection.
type conn struct {
	*net.UnixConn
	at     doorAddr
	closed func()
}

func (c *conn) LocalAddr() net.Addr { return c.at }

func (c *conn) Close() error {
	c.closed()
	return c.UnixConn.Close()
}

// listen makes a socket. At its path there is never one that others could open, nor none: a new
// one takes the place of the old.
func listen(path string, mode os.FileMode) (*net.UnixListener, error) {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing what a killed process left: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, mode), os.Rename(fresh, path)); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	return l, nil
}

// descriptor copies a listener's. net's own File would make the original block its threads.
func descriptor(l *net.UnixListener) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("copying a listener: %w", err)
	}
	var fd int
	var failed error
	if err := raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, firstDescriptor)
	}); err != nil {
		failed = err
	}
	if failed != nil {
		return nil, fmt.Errorf("copying a listener: %w", failed)
	}
	return os.NewFile(uintptr(fd), l.Addr().String()), nil
}
