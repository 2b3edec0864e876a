package workflows_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// languageHost stands in for pulumi-language-go, which users download with the
// command: it runs a program of this process instead of compiling one.
type languageHost struct {
	rpc.UnimplementedLanguageRuntimeServer

	program pulumi.RunFunc

	mu     sync.Mutex
	engine string
}

// serveLanguage returns the value of PULUMI_DEBUG_LANGUAGES.
func serveLanguage(t *testing.T, program pulumi.RunFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	rpc.RegisterLanguageRuntimeServer(server, &languageHost{program: program})
	go func() { _ = server.Serve(listener) }() // until it is stopped
	t.Cleanup(server.Stop)
	return fmt.Sprintf("go:%d", listener.Addr().(*net.TCPAddr).Port)
}

func (h *languageHost) Handshake(_ context.Context, r *rpc.LanguageHandshakeRequest) (*rpc.LanguageHandshakeResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine = r.GetEngineAddress()
	return &rpc.LanguageHandshakeResponse{}, nil
}

func (h *languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*rpc.PluginInfo, error) {
	return &rpc.PluginInfo{Version: "0.0.0"}, nil
}

func (h *languageHost) GetRequiredPackages(context.Context, *rpc.GetRequiredPackagesRequest) (*rpc.GetRequiredPackagesResponse, error) {
	return &rpc.GetRequiredPackagesResponse{}, nil
}

func (h *languageHost) Run(ctx context.Context, r *rpc.RunRequest) (*rpc.RunResponse, error) {
	h.mu.Lock()
	engine := h.engine
	h.mu.Unlock()
	program, err := pulumi.NewContext(ctx, pulumi.RunInfo{
		Project:          r.GetProject(),
		Stack:            r.GetStack(),
		Organization:     r.GetOrganization(),
		RootDirectory:    r.GetInfo().GetRootDirectory(),
		Config:           r.GetConfig(),
		ConfigSecretKeys: r.GetConfigSecretKeys(),
		Parallel:         r.GetParallel(),
		DryRun:           r.GetDryRun(),
		MonitorAddr:      r.GetMonitorAddress(),
		EngineAddr:       engine,
	})
	if err != nil {
		return nil, err
	}
	defer program.Close()
	if err := pulumi.RunWithContext(program, h.program); err != nil {
		return &rpc.RunResponse{Error: err.Error()}, nil
	}
	return &rpc.RunResponse{}, nil
}
