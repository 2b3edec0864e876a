package recorder

import (
	"context"
	"errors"
	"fmt"
	"sync"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// hooks are those that a program registered, by name.
type hooks struct {
	mu    sync.Mutex
	known map[string]*pulumirpc.RegisterResourceHookRequest
}

// RegisterResourceHook implements pulumirpc.ResourceMonitorServer.
func (m *monitor) RegisterResourceHook(_ context.Context, in *pulumirpc.RegisterResourceHookRequest) (*emptypb.Empty, error) {
	m.hooks.mu.Lock()
	defer m.hooks.mu.Unlock()
	if m.hooks.known == nil {
		m.hooks.known = map[string]*pulumirpc.RegisterResourceHookRequest{}
	}
	if m.hooks.known[in.GetName()] != nil {
		return nil, fmt.Errorf("there are two hooks of the name %s", in.GetName())
	}
	m.hooks.known[in.GetName()] = in
	return &emptypb.Empty{}, nil
}

// RegisterErrorHook implements pulumirpc.ResourceMonitorServer. Nothing that is
// recorded fails, so none is ever run.
func (m *monitor) RegisterErrorHook(context.Context, *pulumirpc.RegisterErrorHookRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// beforeCreate runs a resource's hooks, as the engine does: nothing that is
// recorded existed before, and in a preview those run that ask for it.
func (m *monitor) beforeCreate(ctx context.Context, urn string, in *pulumirpc.RegisterResourceRequest) error {
	for _, name := range in.GetHooks().GetBeforeCreate() {
		m.hooks.mu.Lock()
		hook := m.hooks.known[name]
		m.hooks.mu.Unlock()
		if hook == nil {
			return fmt.Errorf("%s has the hook %s, which was not registered", urn, name)
		}
		if m.recorder.Preview && !hook.GetOnDryRun() {
			continue
		}
		if err := call(ctx, hook, &pulumirpc.ResourceHookRequest{
			Urn: urn, Name: in.GetName(), Type: in.GetType(), NewInputs: in.GetObject(),
		}); err != nil && !hook.GetIgnoreErrors() {
			return fmt.Errorf("%s: %w", urn, err)
		}
	}
	return nil
}

func call(ctx context.Context, hook *pulumirpc.RegisterResourceHookRequest, request *pulumirpc.ResourceHookRequest) error {
	connection, err := grpc.NewClient(hook.GetCallback().GetTarget(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting to the hook %s: %w", hook.GetName(), err)
	}
	defer connection.Close()
	encoded, err := proto.Marshal(request)
	if err != nil {
		return fmt.Errorf("encoding the request to the hook %s: %w", hook.GetName(), err)
	}
	answer, err := pulumirpc.NewCallbacksClient(connection).Invoke(ctx, &pulumirpc.CallbackInvokeRequest{
		Token: hook.GetCallback().GetToken(), Request: encoded,
	})
	if err != nil {
		return fmt.Errorf("running the hook %s: %w", hook.GetName(), err)
	}
	var response pulumirpc.ResourceHookResponse
	if err := proto.Unmarshal(answer.GetResponse(), &response); err != nil {
		return fmt.Errorf("decoding the answer of the hook %s: %w", hook.GetName(), err)
	}
	if response.GetError() != "" {
		return errors.New(response.GetError())
	}
	return nil
}
