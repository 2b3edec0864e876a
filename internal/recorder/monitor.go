package recorder

import (
	"context"
	"fmt"
	"net"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// monitor is the engine's side of a program: what it registers and asks goes to
// the recorder. Pulumi's own mocks cannot serve here, since they lose a secret
// whose value is unknown, which is what most secrets are in a preview.
type monitor struct {
	pulumirpc.UnimplementedResourceMonitorServer
	pulumirpc.UnimplementedEngineServer

	recorder *Recorder
	root     string
	hooks    hooks
}

// wire is how values travel: nothing of them is lost.
var wire = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepResources: true}

// serve answers on loopback until stop is called.
func (m *monitor) serve() (address string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening for the program: %w", err)
	}
	server := grpc.NewServer()
	pulumirpc.RegisterResourceMonitorServer(server, m)
	pulumirpc.RegisterEngineServer(server, m)
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), server.Stop, nil
}

// GetDeploymentInfo implements pulumirpc.ResourceMonitorServer.
func (m *monitor) GetDeploymentInfo(context.Context, *emptypb.Empty) (*pulumirpc.DeploymentInfo, error) {
	return &pulumirpc.DeploymentInfo{
		Project: Project,
		Stack:   m.recorder.Stack,
		SupportedFeatures: []pulumirpc.ResourceMonitorFeature{
			pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_SECRETS,
			pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
			pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
			pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
			pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
			pulumirpc.ResourceMonitorFeature_RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
		},
	}, nil
}

// RegisterResource implements pulumirpc.ResourceMonitorServer.
func (m *monitor) RegisterResource(ctx context.Context, in *pulumirpc.RegisterResourceRequest) (*pulumirpc.RegisterResourceResponse, error) {
	urn := urnOf(m.recorder.Stack, in)
	if in.GetType() == string(resource.RootStackType) && in.GetParent() == "" {
		return &pulumirpc.RegisterResourceResponse{Urn: urn}, nil
	}
	if err := m.beforeCreate(ctx, urn, in); err != nil {
		return nil, err
	}
	inputs, err := plugin.UnmarshalProperties(in.GetObject(), wire)
	if err != nil {
		return nil, fmt.Errorf("reading the inputs of %s: %w", urn, err)
	}
	id, outputs := m.recorder.register(in, inputs, false)
	object, err := plugin.MarshalProperties(outputs, wire)
	if err != nil {
		return nil, fmt.Errorf("encoding the outputs of %s: %w", urn, err)
	}
	return &pulumirpc.RegisterResourceResponse{Urn: urn, Id: id, Object: object}, nil
}

// RegisterResourceOutputs implements pulumirpc.ResourceMonitorServer.
func (m *monitor) RegisterResourceOutputs(context.Context, *pulumirpc.RegisterResourceOutputsRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// ReadResource implements pulumirpc.ResourceMonitorServer, for stack references.
func (m *monitor) ReadResource(_ context.Context, in *pulumirpc.ReadResourceRequest) (*pulumirpc.ReadResourceResponse, error) {
	inputs, err := plugin.UnmarshalProperties(in.GetProperties(), wire)
	if err != nil {
		return nil, fmt.Errorf("reading the inputs of %s: %w", in.GetName(), err)
	}
	request := &pulumirpc.RegisterResourceRequest{Type: in.GetType(), Name: in.GetName(), Parent: in.GetParent(), Custom: true}
	_, outputs := m.recorder.register(request, inputs, true)
	object, err := plugin.MarshalProperties(outputs, wire)
	if err != nil {
		return nil, fmt.Errorf("encoding the outputs of %s: %w", in.GetName(), err)
	}
	return &pulumirpc.ReadResourceResponse{Urn: urnOf(m.recorder.Stack, request), Properties: object}, nil
}

// Invoke implements pulumirpc.ResourceMonitorServer.
func (m *monitor) Invoke(_ context.Context, in *pulumirpc.ResourceInvokeRequest) (*pulumirpc.ResourceInvokeResponse, error) {
	args, err := plugin.UnmarshalProperties(in.GetArgs(), wire)
	if err != nil {
		return nil, fmt.Errorf("reading the arguments of %s: %w", in.GetTok(), err)
	}
	answer, ok := m.recorder.Functions[in.GetTok()]
	if !ok {
		return nil, fmt.Errorf("the recorder has no answer for %s; add one to Recorder.Functions", in.GetTok())
	}
	result, err := answer(args)
	if err != nil {
		return nil, err
	}
	object, err := plugin.MarshalProperties(result, wire)
	if err != nil {
		return nil, fmt.Errorf("encoding the answer of %s: %w", in.GetTok(), err)
	}
	return &pulumirpc.ResourceInvokeResponse{Return: object}, nil
}

// SignalAndWaitForShutdown implements pulumirpc.ResourceMonitorServer.
func (m *monitor) SignalAndWaitForShutdown(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Log implements pulumirpc.EngineServer.
func (m *monitor) Log(_ context.Context, in *pulumirpc.LogRequest) (*emptypb.Empty, error) {
	m.recorder.log(in)
	return &emptypb.Empty{}, nil
}

// SetRootResource implements pulumirpc.EngineServer.
func (m *monitor) SetRootResource(_ context.Context, in *pulumirpc.SetRootResourceRequest) (*pulumirpc.SetRootResourceResponse, error) {
	m.root = in.GetUrn()
	return &pulumirpc.SetRootResourceResponse{}, nil
}

// GetRootResource implements pulumirpc.EngineServer.
func (m *monitor) GetRootResource(context.Context, *pulumirpc.GetRootResourceRequest) (*pulumirpc.GetRootResourceResponse, error) {
	return &pulumirpc.GetRootResourceResponse{Urn: m.root}, nil
}

func urnOf(stack string, in *pulumirpc.RegisterResourceRequest) string {
	parentType := tokens.Type("")
	if parent := resource.URN(in.GetParent()); parent != "" && parent.QualifiedType() != resource.RootStackType {
		parentType = parent.QualifiedType()
	}
	return string(resource.NewURN(tokens.QName(stack), Project, parentType, tokens.Type(in.GetType()), in.GetName()))
}
