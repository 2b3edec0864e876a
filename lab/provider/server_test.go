package provider_test

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/clawft/infra/lab/provider"
)

// serve returns a function that connects as an engine would: once per call.
func serve(t *testing.T, provided p.Provider) (server *provider.Server, connect func() rpc.ResourceProviderClient) {
	server, err := provider.Set{"cloud": provided}.Serve(t.Context())
	require.NoError(t, err)
	t.Cleanup(server.Close)
	port := regexp.MustCompile(`^cloud:(\d+)$`).FindStringSubmatch(server.Env())
	require.NotNil(t, port, server.Env())
	return server, func() rpc.ResourceProviderClient {
		conn, err := grpc.NewClient("127.0.0.1:"+port[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return rpc.NewResourceProviderClient(conn)
	}
}

func fields(t *testing.T, m map[string]any) *structpb.Struct {
	s, err := structpb.NewStruct(m)
	require.NoError(t, err)
	return s
}

func TestEnvNamesEveryProvider(t *testing.T) {
	server, err := provider.Set{"tls": cloud(nil), "docker-build": cloud(nil)}.Serve(t.Context())
	require.NoError(t, err)
	defer server.Close()
	assert.Regexp(t, regexp.MustCompile(`^docker-build:\d+,tls:\d+$`), server.Env())
}

func TestEachConnectionHasItsConfiguration(t *testing.T) {
	_, connect := serve(t, cloud(func(r *provider.Resource) {
		r.Create = func(ctx context.Context, _ provider.CreateRequest) (string, property.Map, error) {
			config := provider.Config(ctx)
			return fmt.Sprintf("%s with %v options", config.Get("endpoint").AsString(),
					config.Get("options").AsArray().Len()),
				obj(props{"address": str("a"), "serial": num(1)}), nil
		}
	}))
	clients := map[string]rpc.ResourceProviderClient{"one": connect(), "two": connect()}
	for endpoint, client := range clients {
		_, err := client.Configure(t.Context(), &rpc.ConfigureRequest{
			// SDKs send everything but strings as JSON.
			Args: fields(t, map[string]any{"endpoint": endpoint, "options": `["a","b"]`, "version": "1.2.3"}),
		})
		require.NoError(t, err)
	}
	for endpoint, client := range clients {
		got, err := client.Create(t.Context(), &rpc.CreateRequest{
			Urn: string(thingURN), Properties: fields(t, map[string]any{"name": "n", "kind": "k"}),
		})
		require.NoError(t, err)
		assert.Equal(t, endpoint+" with 2 options", got.GetId())
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	_, connect := serve(t, cloud(nil))
	got, err := connect().CheckConfig(t.Context(), &rpc.CheckRequest{
		News: fields(t, map[string]any{"endpoint": "e", "retries": `"many"`, "options": "[]", "tokn": "t", "version": "1.2.3"}),
	})
	require.NoError(t, err)
	var reasons []string
	for _, failure := range got.GetFailures() {
		reasons = append(reasons, failure.GetProperty()+": "+failure.GetReason())
	}
	assert.Equal(t, []string{
		"retries: expected an integer, got a string",
		`tokn: unknown property "tokn", known are: endpoint, options, retries`,
	}, reasons)
}

// hang makes Create wait for the end of its context. started gets one value per call.
func hang(started chan<- struct{}) func(*provider.Resource) {
	return func(r *provider.Resource) {
		r.Create = func(ctx context.Context, _ provider.CreateRequest) (string, property.Map, error) {
			started <- struct{}{}
			<-ctx.Done()
			return "", property.Map{}, ctx.Err()
		}
	}
}

func create(ctx context.Context, client rpc.ResourceProviderClient, timeout float64) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := client.Create(ctx, &rpc.CreateRequest{Urn: string(thingURN), Timeout: timeout})
		done <- err
	}()
	return done
}

func receive(t *testing.T, from <-chan error) error {
	select {
	case err := <-from:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the call did not end")
		return nil
	}
}

func TestCancelEndsOnlyItsOwnConnection(t *testing.T) {
	started := make(chan struct{}, 3)
	_, connect := serve(t, cloud(hang(started)))
	one, two := connect(), connect()
	first, second := create(t.Context(), one, 0), create(t.Context(), two, 0)
	<-started
	<-started

	_, err := one.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	require.ErrorContains(t, receive(t, first), "context canceled")
	select {
	case err := <-second:
		t.Fatalf("the other connection's call ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}

	// An engine that comes later is not affected either.
	third := create(t.Context(), connect(), 0)
	<-started
	_, err = two.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	require.ErrorContains(t, receive(t, second), "context canceled")
	select {
	case err := <-third:
		t.Fatalf("the later connection's call ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
}

func TestCustomTimeoutEndsACall(t *testing.T) {
	_, connect := serve(t, cloud(hang(make(chan struct{}, 1))))
	require.ErrorContains(t, receive(t, create(t.Context(), connect(), 0.1)), "context deadline exceeded")
}

func TestCloseEndsRunningCalls(t *testing.T) {
	started := make(chan struct{}, 1)
	server, connect := serve(t, cloud(hang(started)))
	call := create(t.Context(), connect(), 0)
	<-started
	server.Close()
	assert.Equal(t, codes.Unavailable, status.Code(receive(t, call)))
	server.Close()
}

func TestContextEndsTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server, err := provider.Set{"cloud": cloud(nil)}.Serve(ctx)
	require.NoError(t, err)
	address := "127.0.0.1:" + strings.TrimPrefix(server.Env(), "cloud:")
	cancel()
	assert.EventuallyWithT(t, func(t *assert.CollectT) {
		_, err := net.Dial("tcp", address)
		assert.ErrorContains(t, err, "connection refused")
	}, 10*time.Second, 10*time.Millisecond)
}

func TestNoSDKAsksForANewerVersion(t *testing.T) {
	_, connect := serve(t, cloud(nil))
	info, err := connect().GetPluginInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Equal(t, "999.0.0", info.GetVersion())
}
