package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

// version is what every stand-in claims. The engine warns about a plugin that is
// older than the SDK asks for, and a stand-in follows the SDK it is built with.
const version = "999.0.0"

// maxMessage is the engine's own limit for one message.
const maxMessage = 400 << 20

// Set maps a package name, as in a type token, to the provider that serves it.
type Set map[string]p.Provider

// Server is a Set that is being served.
type Server struct {
	ports map[string]int

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	sessions  map[*grpc.Server]struct{}
	wg        sync.WaitGroup
}

// Serve listens on a loopback port for each provider, until ctx is done or the
// server is closed.
func (s Set) Serve(ctx context.Context) (*Server, error) {
	server := &Server{ports: map[string]int{}, sessions: map[*grpc.Server]struct{}{}}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			server.Close()
			return nil, fmt.Errorf("listening for provider %s: %w", name, err)
		}
		server.ports[name] = listener.Addr().(*net.TCPAddr).Port
		server.listeners = append(server.listeners, listener)
		server.wg.Go(func() { server.accept(listener, name, s[name]) })
	}
	context.AfterFunc(ctx, server.Close)
	return server, nil
}

// Env is the value of PULUMI_DEBUG_PROVIDERS that makes an engine attach to
// this server instead of starting plugins: "command:41233,hcloud:41234".
func (s *Server) Env() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(s.ports)) {
		pairs = append(pairs, fmt.Sprintf("%s:%d", name, s.ports[name]))
	}
	return strings.Join(pairs, ",")
}

// Close cancels what is still running, and returns when everything has ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, listener := range s.listeners {
		listener.Close()
	}
	sessions := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	for _, session := range sessions {
		session.Stop()
	}
	s.wg.Wait()
}

// accept gives every connection a gRPC server of its own. The engine opens one
// connection per provider resource, where it would otherwise start one plugin
// process, and each has its own configuration, engine address and end.
func (s *Server) accept(listener net.Listener, name string, provider p.Provider) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		// RawServer fails only when its constructor is given a bad host.
		raw, err := p.RawServer(name, version, provider)(nil)
		if err != nil {
			conn.Close()
			continue
		}
		session := newSession()
		server := grpc.NewServer(
			grpc.UnaryInterceptor(session.intercept),
			grpc.MaxRecvMsgSize(maxMessage),
			grpc.MaxSendMsgSize(maxMessage),
		)
		rpc.RegisterResourceProviderServer(server, raw)

		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.sessions[server] = struct{}{}
		s.mu.Unlock()

		single := &singleConn{Conn: conn, closed: make(chan struct{})}
		s.wg.Go(func() {
			defer session.cancel()
			// Serve always returns an error; the connection's end is the normal one.
			_ = server.Serve(single)
			s.mu.Lock()
			delete(s.sessions, server)
			s.mu.Unlock()
			server.Stop()
		})
	}
}

// singleConn is a listener that yields one connection and ends with it.
type singleConn struct {
	net.Conn
	taken  bool
	once   sync.Once
	closed chan struct{}
}

var _ net.Listener = (*singleConn)(nil)

func (c *singleConn) Accept() (net.Conn, error) {
	if !c.taken {
		c.taken = true
		return c, nil
	}
	<-c.closed
	return nil, io.EOF
}

func (c *singleConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		close(c.closed)
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (c *singleConn) Addr() net.Addr { return c.LocalAddr() }
