package command_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/command"
)

const (
	remoteURN = "urn:pulumi:dev::project::command:remote:Command::deploy"
	localURN  = "urn:pulumi:dev::project::command:local:Command::build"
)

// engine is attached to the stand-in as the real engine is, over gRPC, and
// keeps what is logged.
type engine struct {
	rpc.UnimplementedEngineServer
	provider rpc.ResourceProviderClient

	mu   sync.Mutex
	logs []string
}

func newEngine(t *testing.T) *engine {
	e := &engine{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	rpc.RegisterEngineServer(server, e)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	provided, err := provider.Set{"command": command.New()}.Serve(t.Context())
	require.NoError(t, err)
	t.Cleanup(provided.Close)
	_, port, _ := strings.Cut(provided.Env(), ":")
	conn, err := grpc.NewClient("127.0.0.1:"+port, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	e.provider = rpc.NewResourceProviderClient(conn)
	_, err = e.provider.Attach(t.Context(), &rpc.PluginAttach{Address: listener.Addr().String()})
	require.NoError(t, err)
	return e
}

func (e *engine) Log(_ context.Context, r *rpc.LogRequest) (*emptypb.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.logs = append(e.logs, strings.ToLower(r.GetSeverity().String())+": "+r.GetMessage())
	return &emptypb.Empty{}, nil
}

// logged returns what has been logged since the last call, sorted.
func (e *engine) logged() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	logs := slices.Sorted(slices.Values(e.logs))
	e.logs = nil
	return logs
}

type props = map[string]property.Value

func str(s string) property.Value { return property.New(s) }

var options = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true}

func encode(t *testing.T, m property.Map) *structpb.Struct {
	s, err := plugin.MarshalProperties(resource.ToResourcePropertyMap(m), options)
	require.NoError(t, err)
	return s
}

func decode(t *testing.T, s *structpb.Struct) property.Map {
	m, err := plugin.UnmarshalProperties(s, options)
	require.NoError(t, err)
	return resource.FromResourcePropertyMap(m)
}

func (e *engine) check(t *testing.T, urn string, inputs props) (property.Map, []string) {
	got, err := e.provider.Check(t.Context(), &rpc.CheckRequest{Urn: urn, News: encode(t, property.NewMap(inputs))})
	require.NoError(t, err)
	var failures []string
	for _, f := range got.GetFailures() {
		failures = append(failures, f.GetProperty()+": "+f.GetReason())
	}
	return decode(t, got.GetInputs()), failures
}

// checked stops the test when there are failures.
func (e *engine) checked(t *testing.T, urn string, inputs props) property.Map {
	got, failures := e.check(t, urn, inputs)
	require.Empty(t, failures)
	return got
}

func (e *engine) create(
	t *testing.T, ctx context.Context, urn string, inputs props, preview bool,
) (id string, state property.Map, err error) {
	got, err := e.provider.Create(ctx, &rpc.CreateRequest{
		Urn: urn, Properties: encode(t, e.checked(t, urn, inputs)), Preview: preview,
	})
	return got.GetId(), decode(t, got.GetProperties()), err
}

func (e *engine) update(
	t *testing.T, urn string, state property.Map, oldInputs, inputs props, preview bool,
) (property.Map, error) {
	got, err := e.provider.Update(t.Context(), &rpc.UpdateRequest{
		Urn: urn, Id: "id", Olds: encode(t, state), Preview: preview,
		OldInputs: encode(t, e.checked(t, urn, oldInputs)), News: encode(t, e.checked(t, urn, inputs)),
	})
	return decode(t, got.GetProperties()), err
}

func (e *engine) delete(t *testing.T, urn string, state property.Map, inputs props) error {
	_, err := e.provider.Delete(t.Context(), &rpc.DeleteRequest{
		Urn: urn, Id: "id", Properties: encode(t, state), OldInputs: encode(t, e.checked(t, urn, inputs)),
	})
	return err
}

func (e *engine) diff(t *testing.T, urn string, oldInputs, inputs props) *rpc.DiffResponse {
	got, err := e.provider.Diff(t.Context(), &rpc.DiffRequest{
		Urn: urn, Id: "id", Olds: encode(t, property.Map{}),
		OldInputs: encode(t, e.checked(t, urn, oldInputs)), News: encode(t, e.checked(t, urn, inputs)),
	})
	require.NoError(t, err)
	return got
}
