package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/clawft/infra/host/deploy"
)

const (
	// Dir is where the sockets are: each gateway's in a directory of its name.
	Dir = "/run/clawft"
	// ownDirectory is the proxy's own, below Dir.
	ownDirectory = "proxy"
	// doorName is a gateway's socket.
	doorName = "api.sock"

	// What systemd keeps is named by these.
	controlKept = "control"
	doorKept    = "gateway/"
)

func controlSocket(dir string) string { return filepath.Join(dir, ownDirectory, "control.sock") }

// Options are how a proxy runs. Its user has to own the directory "proxy" below Dir.
type Options struct {
	// Dir is where the sockets are.
	Dir string
	// MaxHold ends a hold, whoever has it.
	MaxHold time.Duration
	// Patience is how long a request waits for a gateway that is down without being held.
	Patience time.Duration
	// Farewell is how long a process that was replaced goes on to answer those whose connections it
	// has, so that each of them gets to know that its connection ends.
	Farewell time.Duration
	// StreamLimit is how long it stays for the sake of streams and WebSockets.
	StreamLimit time.Duration
	// StopTime is how long a process that is stopped may take for what is under way.
	StopTime time.Duration
}

// Defaults are the options of a host.
func Defaults() Options {
	return Options{Dir: Dir, MaxHold: deploy.MaxHold, Patience: 30 * time.Second, Farewell: 30 * time.Second,
		StreamLimit: 15 * time.Minute, StopTime: 30 * time.Second}
}

// Proxy is one process of the proxy.
type Proxy struct {
	Options
	maxHold time.Duration
	records records
	systemd manager
	log     *slog.Logger
	listens *net.UnixListener // the control socket
	servers caddy.App

	mu      sync.Mutex
	busy    int  // requests to the control socket that change something, holds among them
	handing bool // a successor takes over
	gone    bool // it has
	orphans map[string]*hold
	retired chan struct{}
}

// Run is the process of clawft-proxy.service. SIGHUP has the binary that is installed now take
// over, SIGTERM ends it; what is under way is answered in both cases.
func Run(ctx context.Context, options Options) error {
	p := &Proxy{
		Options: options,
		maxHold: options.MaxHold,
		records: records{filepath.Join(options.Dir, ownDirectory)},
		systemd: manager{os.Getenv("NOTIFY_SOCKET")},
		log:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
		orphans: map[string]*hold{},
		retired: make(chan struct{}),
	}
	fronts.patience = options.Patience
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)

	kept := inherited()
	predecessor, err := takeHandover(kept)
	if err != nil {
		return err
	}
	if err := p.start(kept); err != nil {
		return err
	}
	if err := predecessor.replace(); err != nil {
		return err
	}
	p.serve(p.listens, p.enter)
	if err := p.systemd.tell("READY=1"); err != nil {
		return err
	}
	predecessor.thank()
	for {
		select {
		case <-ctx.Done():
			return p.stop()
		case <-p.retired:
			return p.retire(ctx)
		case <-hangup:
			go func() {
				if err := p.exchange(ctx); err != nil {
					p.log.Error("the new binary did not take over", "error", err)
				}
			}()
		}
	}
}

// start takes over what is there and begins to answer the gateways' clients.
func (p *Proxy) start(kept map[string]*os.File) error {
	all, err := p.records.read()
	if err != nil {
		// A gateway whose record is lost is known again when its unit starts it.
		p.log.Error("not all gateways are known", "error", err)
	}
	for name, it := range all {
		g := fronts.gateway(name)
		g.route(it.Upstream)
		if it.Held {
			p.adopt(name, g)
		}
		if file, ok := kept[doorKept+name]; ok {
			delete(kept, doorKept+name)
			l, err := listener(file)
			if err != nil {
				return err
			}
			fronts.doors.add(name, l)
		}
		if !it.Upstream.IsValid() {
			continue
		}
		if err := p.open(name); err != nil {
			p.log.Error("a gateway has no socket", "gateway", name, "error", err)
		}
	}
	if file, ok := kept[controlKept]; ok {
		delete(kept, controlKept)
		if p.listens, err = listener(file); err != nil {
			return err
		}
	} else if err := p.openControl(); err != nil {
		return err
	}
	// What is left belongs to gateways whose removal was cut short.
	for name, file := range kept {
		_ = file.Close()
		if gateway, ok := strings.CutPrefix(name, doorKept); ok {
			_ = os.Remove(p.doorPath(gateway)) // nobody listens there, whether it is there or not
		}
		if err := p.systemd.drop(name); err != nil {
			return err
		}
	}
	p.servers, err = startCaddy()
	return err
}

func (p *Proxy) openControl() error {
	l, err := listen(controlSocket(p.Dir), 0o600)
	if err != nil {
		return err
	}
	p.listens = l
	return p.systemd.keep(controlKept, l)
}

// serve answers on a control socket.
func (p *Proxy) serve(l *net.UnixListener, enter func() bool) {
	server := &http.Server{Handler: p.api(enter), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn)}
	go func() {
		if err := server.Serve(rootOnly{l}); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			p.log.Error("the control socket is not served", "error", err)
		}
	}()
}

func (p *Proxy) doorPath(gateway string) string { return filepath.Join(p.Dir, gateway, doorName) }

// open makes a gateway's socket unless it is there.
func (p *Proxy) open(gateway string) error {
	if p.isGone() {
		return nil
	}
	path := p.doorPath(gateway)
	if fronts.doors.has(gateway) {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		fronts.doors.remove(gateway)
		if err := p.systemd.drop(doorKept + gateway); err != nil {
			return err
		}
	}
	l, err := listen(path, doorMode)
	if err != nil {
		return err
	}
	fronts.doors.add(gateway, l)
	return p.systemd.keep(doorKept+gateway, l)
}

// keep writes down what the next process has to know of a gateway.
func (p *Proxy) keep(g *gateway) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil
	}
	it, ok := g.record()
	if !ok {
		return nil
	}
	return p.records.write(g.name, it)
}

// forget removes a gateway.
func (p *Proxy) forget(gateway string) error {
	if p.isGone() {
		fronts.remove(gateway)
		return nil
	}
	if err := p.records.remove(gateway); err != nil {
		return err
	}
	fronts.remove(gateway)
	fronts.doors.remove(gateway)
	if err := p.systemd.drop(doorKept + gateway); err != nil {
		return err
	}
	if err := os.Remove(p.doorPath(gateway)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the socket of gateway %s: %w", gateway, err)
	}
	return nil
}

// orphanTime is how long a hold of a process that was killed waits for whoever has it.
const orphanTime = 3 * time.Second

// adopt holds a gateway on behalf of somebody who has yet to find out that the process is another.
func (p *Proxy) adopt(gateway string, g *gateway) {
	p.orphans[gateway] = g.hold()
	time.AfterFunc(orphanTime, func() { p.letOrphan(gateway) })
}

func (p *Proxy) letOrphan(gateway string) {
	p.mu.Lock()
	h, ok := p.orphans[gateway]
	delete(p.orphans, gateway)
	p.mu.Unlock()
	if ok {
		p.let(fronts.gateway(gateway), h, func() bool { return false })
	}
}

// enter counts what changes something. It returns false from when a successor begins to take over.
func (p *Proxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handing {
		return false
	}
	p.busy++
	return true
}

func (p *Proxy) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
}

func (p *Proxy) isGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// lingerTime is how long a process that is stopped goes on to answer on connections that it has:
// each answer tells its client not to use the connection again.
const lingerTime = time.Second

// stop ends the process. systemd keeps the listeners, and with them whoever comes meanwhile.
func (p *Proxy) stop() error {
	if !p.isGone() {
		if err := p.systemd.tell("STOPPING=1"); err != nil {
			p.log.Warn("stopping", "error", err)
		}
	}
	fronts.retiring.Store(true)
	fronts.doors.leave()
	for _, g := range fronts.all() {
		g.stop()
	}
	p.empty(context.Background(), lingerTime, p.StopTime)
	return p.end()
}

// retire answers what this process has, after its successor has taken over everything else.
func (p *Proxy) retire(ctx context.Context) error {
	defer func() { _ = os.Remove(retiringSocket(p.Dir, strconv.Itoa(os.Getpid()))) }()
	p.empty(ctx, p.Farewell, p.StreamLimit)
	if fronts.inFlight() > 0 {
		return p.stop()
	}
	return p.end()
}

// empty waits until nothing is under way: for least at any rate, for most at most, and not
// longer than the context.
func (p *Proxy) empty(ctx context.Context, least, most time.Duration) {
	began := time.Now()
	for ctx.Err() == nil && (time.Since(began) < least || fronts.inFlight() > 0 && time.Since(began) < most) {
		time.Sleep(20 * time.Millisecond)
	}
}

// end closes what is idle, and waits for the last bytes of what was not.
func (p *Proxy) end() error {
	err := p.servers.Stop()
	for until := time.Now().Add(5 * time.Second); fronts.doors.open.Load() > 0 && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("stopping Caddy: %w", err)
	}
	return nil
}
