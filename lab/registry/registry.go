package registry

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage named in the configuration below
	"github.com/sirupsen/logrus"
)

// closeTimeout is how long Close waits for transfers under way.
const closeTimeout = 5 * time.Second

// Options says where a registry keeps its content and where it listens.
type Options struct {
	// Dir holds everything: content (data/), authority (ca.crt, ca.key) and
	// password. It is made if absent.
	Dir string
	// Addresses are "IP:port" pairs. The first is the registry's name to
	// clients, the part of an image reference before the repository.
	Addresses []string
	// Log takes the registry's own messages; nil drops them.
	Log io.Writer
}

// Registry is a registry that is being served.
type Registry struct {
	authority *authority
	password  string
	address   string
	server    *http.Server
	app       *handlers.App
	serving   sync.WaitGroup
}

// Start serves the registry until Close. It returns once every address
// accepts connections.
func Start(ctx context.Context, opts Options) (*Registry, error) {
	if len(opts.Addresses) == 0 {
		return nil, errors.New("starting the registry: no address to listen on was given")
	}
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	data := filepath.Join(opts.Dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("making the registry's directory: %w", err)
	}
	ca, err := loadAuthority(opts.Dir)
	if err != nil {
		return nil, err
	}
	password, err := loadPassword(opts.Dir)
	if err != nil {
		return nil, err
	}
	listeners, err := listen(ctx, opts.Addresses)
	if err != nil {
		return nil, err
	}
	certificate, err := ca.issue(listenerIPs(listeners))
	if err != nil {
		closeAll(listeners)
		return nil, err
	}

	// Distribution logs through logrus' one global logger.
	logrus.SetOutput(opts.Log)
	logrus.SetLevel(logrus.WarnLevel)
	app := handlers.NewApp(context.WithoutCancel(ctx), storage(data))
	r := &Registry{
		authority: ca,
		password:  password,
		address:   listeners[0].Addr().String(),
		app:       app,
		server: &http.Server{
			Handler:           requirePassword(password, app),
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          log.New(opts.Log, "registry: ", log.LstdFlags),
			TLSConfig: &tls.Config{
				Certificates: []tls.Certificate{certificate},
				MinVersion:   tls.VersionTLS12,
			},
		},
	}
	for _, listener := range listeners {
		r.serving.Go(func() {
			if err := r.server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
				r.server.ErrorLog.Printf("serving %s: %v", listener.Addr(), err)
			}
		})
	}
	return r, nil
}

// Address is the registry's name in image references, "IP:port".
func (r *Registry) Address() string { return r.address }

// CAPath is the PEM file of the authority that clients have to trust.
func (r *Registry) CAPath() string { return r.authority.path }

// Username is the registry's one account.
func (r *Registry) Username() string { return Username }

// Password belongs to Username. It is a secret.
func (r *Registry) Password() string { return r.password }

// Close stops serving. Content stays on disk.
func (r *Registry) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := r.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = r.server.Close()
	}
	r.serving.Wait()
	if err = errors.Join(err, r.app.Shutdown()); err != nil {
		return fmt.Errorf("stopping the registry: %w", err)
	}
	return nil
}

// storage configures distribution to keep its content in dir and to allow
// deletion, which a registry refuses unless told otherwise.
func storage(dir string) *configuration.Configuration {
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem": {"rootdirectory": dir},
			"delete":     {"enabled": true},
			"redirect":   {"disable": true},
		},
	}
	config.HTTP.Secret = rand.Text()
	// Locations relative to the request: clients know the registry by several
	// addresses.
	config.HTTP.RelativeURLs = true
	return config
}

func listen(ctx context.Context, addresses []string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, address := range addresses {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			closeAll(listeners)
			return nil, explain(address, err)
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

// explain says what to do about the two ways in which listening fails on a
// healthy machine.
func explain(address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("starting the registry: %s is taken by another program, perhaps another lab; "+
			"stop it (`ss -ltnp 'sport = :%s'` names it) and try again: %w", address, port, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("starting the registry: this machine has no address %s; "+
			"the network it belongs to has to exist first: %w", address, err)
	default:
		return fmt.Errorf("starting the registry: %w", err)
	}
}

func listenerIPs(listeners []net.Listener) []net.IP {
	var ips []net.IP
	for _, listener := range listeners {
		ips = append(ips, listener.Addr().(*net.TCPAddr).IP)
	}
	return ips
}

func closeAll(listeners []net.Listener) {
	for _, listener := range listeners {
		_ = listener.Close()
	}
}
