package provider

import (
	"context"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// session is what a plugin process would hold for itself.
type session struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	config property.Map
}

type sessionKey struct{}

func newSession() *session {
	ctx, cancel := context.WithCancel(context.Background())
	return &session{ctx: ctx, cancel: cancel}
}

// Config is the provider's configuration in the call that ctx belongs to, with
// plain values.
func Config(ctx context.Context) property.Map {
	session, ok := ctx.Value(sessionKey{}).(*session)
	if !ok {
		return property.Map{}
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	return session.config
}

// setConfig reports whether there is a session to configure.
func setConfig(ctx context.Context, config property.Map) {
	if session, ok := ctx.Value(sessionKey{}).(*session); ok {
		session.mu.Lock()
		defer session.mu.Unlock()
		session.config = config
	}
}

// intercept ends a call when the engine cancels or the resource's custom
// timeout passes. Cancel is answered here: passed on, it would end the
// provider for every other connection too.
func (s *session) intercept(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	if info.FullMethod == rpc.ResourceProvider_Cancel_FullMethodName {
		s.cancel()
		return &emptypb.Empty{}, nil
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, sessionKey{}, s))
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // the session ends the call, too
	if timed, ok := req.(interface{ GetTimeout() float64 }); ok && timed.GetTimeout() > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(timed.GetTimeout()*float64(time.Second)))
		defer cancel()
	}
	return handler(ctx, req)
}
