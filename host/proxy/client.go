package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clawft/infra/host/deploy"
)

// Client asks the proxy of this host, by its control socket. It is root's.
type Client struct {
	caller
	dir string
	gid int

	mu     sync.Mutex
	leases map[string]*lease
}

var _ deploy.Gate = (*Client)(nil)

// NewClient returns a client of the proxy whose sockets are below dir (Dir). Members of the group
// may use the gateways' sockets.
func NewClient(dir string, gid int) *Client {
	return &Client{caller: caller{controlSocket(dir)}, dir: dir, gid: gid, leases: map[string]*lease{}}
}

// Hold has new requests wait, and waits until those under way are done, at most for drain; left
// says how many then are not. It lasts until Release, until this process ends, or for
// deploy.MaxHold. It outlasts the proxy's own process: as that comes back, it is held anew.
func (c *Client) Hold(ctx context.Context, gateway string, drain time.Duration) (left int, err error) {
	it, err := c.hold(ctx, gateway, drain)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	former := c.leases[gateway]
	c.leases[gateway] = it
	c.mu.Unlock()
	if former != nil {
		former.end()
	}
	go c.renew(context.WithoutCancel(ctx), gateway, it)
	return it.left, nil
}

// renew holds anew when the proxy's process ended, and with it the hold.
func (c *Client) renew(ctx context.Context, gateway string, it *lease) {
	for {
		<-it.over
		c.mu.Lock()
		current := c.leases[gateway] == it
		c.mu.Unlock()
		if it.ended || !current {
			return
		}
		fresh, err := c.hold(ctx, gateway, 0)
		if err != nil {
			return
		}
		c.mu.Lock()
		if current = c.leases[gateway] == it; current {
			c.leases[gateway] = fresh
		}
		c.mu.Unlock()
		if !current {
			fresh.end()
			return
		}
		it = fresh
	}
}

// Release lets the requests go to where the gateway is now. It is no error if none are held.
func (c *Client) Release(ctx context.Context, gateway string) error {
	c.mu.Lock()
	it := c.leases[gateway]
	delete(c.leases, gateway)
	c.mu.Unlock()
	if it != nil {
		defer it.end()
	}
	return c.do(ctx, http.MethodPost, "/gateways/"+gateway+"/release", struct{}{})
}

// Route says where a gateway listens, and makes its socket if there is none. It outlasts the
// proxy's process, not a reboot.
func (c *Client) Route(ctx context.Context, gateway string, upstream netip.AddrPort) error {
	if err := c.directory(ctx, gateway); err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, "/gateways/"+gateway+"/route", routeRequest{upstream.String()})
}

// Close ends a gateway's front: its socket is gone, and requests that wait are answered 503.
func (c *Client) Close(ctx context.Context, gateway string) error {
	if err := c.do(ctx, http.MethodDelete, "/gateways/"+gateway, struct{}{}); err != nil {
		return err
	}
	// Only what Route made: whoever keeps something else there removes that.
	err := os.Remove(filepath.Join(c.dir, gateway))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("removing the directory of gateway %s: %w", gateway, err)
	}
	return nil
}

// State tells what the proxy has under way.
func (c *Client) State(ctx context.Context) (State, error) { return c.state(ctx) }

// Exchange has the proxy replaced by the binary that is installed now. It returns when that one
// serves; an error says why the old one still does.
func (c *Client) Exchange(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/exchange", struct{}{})
}

// directory makes the one that has a gateway's socket. It is the proxy's, which runs as a user
// without any rights; its group passes on to the socket.
func (c *Client) directory(ctx context.Context, gateway string) error {
	if err := checkName(gateway); err != nil {
		return err
	}
	uid, err := c.proxyUser(ctx)
	if err != nil {
		return fmt.Errorf("finding out who runs the proxy: %w", err)
	}
	path := filepath.Join(c.dir, gateway)
	if err := os.Mkdir(path, 0o700); err != nil && !os.IsExist(err) {
		return fmt.Errorf("making the directory of gateway %s: %w", gateway, err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("making the directory of gateway %s: %w", gateway, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("making the directory of gateway %s: %s is something else: move it away", gateway, path)
	}
	is := info.Sys().(*syscall.Stat_t)
	const mode = os.ModeSetgid | 0o750
	if int(is.Uid) == uid && int(is.Gid) == c.gid && info.Mode() == os.ModeDir|mode {
		return nil
	}
	if err := os.Lchown(path, uid, c.gid); err != nil {
		return fmt.Errorf("making the directory of gateway %s: %w", gateway, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("making the directory of gateway %s: %w", gateway, err)
	}
	return nil
}

// proxyUser is who listens at the control socket, as the kernel says.
func (c *Client) proxyUser(ctx context.Context) (int, error) {
	answer, err := c.ask(ctx, http.MethodGet, "/state", struct{}{})
	if err != nil {
		return 0, err
	}
	_ = answer.Body.Close()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	uid, err := peer(conn.(*net.UnixConn))
	return int(uid), err
}

// peer is the user at the other end of a socket.
func peer(c *net.UnixConn) (uint32, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var credentials *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		credentials, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	return credentials.Uid, nil
}
