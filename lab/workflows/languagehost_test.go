package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// languageHost stands in for pulumi-language-go, which users download with the
// command: it runs a program of this process, or compiles one as that does.
type languageHost struct {
	rpc.UnimplementedLanguageRuntimeServer

	program pulumi.RunFunc // nil: what is in the project's directory

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
	if h.program == nil {
		return compiled(ctx, r, engine)
	}
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

// compiled builds the program, to the project's build target if there is one,
// and runs it. The official host also strips paths and symbols, which would have
// all packages compiled anew here.
func compiled(ctx context.Context, r *rpc.RunRequest, engine string) (*rpc.RunResponse, error) {
	target, kept := r.GetInfo().GetOptions().AsMap()["buildTarget"].(string)
	if !kept {
		file, err := os.CreateTemp("", "pulumi-go.*")
		if err != nil {
			return nil, err
		}
		_ = file.Close()
		target = file.Name()
		defer os.Remove(target)
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", target)
	build.Dir = r.GetInfo().GetProgramDirectory()
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compiling the program: %w\n%s", err, output)
	}
	config, err := json.Marshal(r.GetConfig())
	if err != nil {
		return nil, err
	}
	secret, err := json.Marshal(r.GetConfigSecretKeys())
	if err != nil {
		return nil, err
	}
	program := exec.CommandContext(ctx, target)
	program.Dir = r.GetPwd()
	program.Env = append(os.Environ(),
		pulumi.EnvOrganization+"="+r.GetOrganization(),
		pulumi.EnvProject+"="+r.GetProject(),
		pulumi.EnvPulumiRootDirectory+"="+r.GetInfo().GetRootDirectory(),
		pulumi.EnvStack+"="+r.GetStack(),
		pulumi.EnvConfig+"="+string(config),
		pulumi.EnvConfigSecretKeys+"="+string(secret),
		pulumi.EnvDryRun+"="+strconv.FormatBool(r.GetDryRun()),
		pulumi.EnvParallel+"="+strconv.Itoa(int(r.GetParallel())),
		pulumi.EnvMonitor+"="+r.GetMonitorAddress(),
		pulumi.EnvEngine+"="+engine,
	)
	// An error is reported to the engine by the program itself.
	if output, err := program.CombinedOutput(); err != nil {
		return &rpc.RunResponse{Error: fmt.Sprintf("%v\n%s", err, output)}, nil
	}
	return &rpc.RunResponse{}, nil
}
