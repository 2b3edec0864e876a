package dockerbuild

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	p "github.com/pulumi/pulumi-go-provider"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/buildkit"
	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/registry"
	"github.com/clawft/infra/lab/toolchain"
)

const (
	imageURN = presource.URN("urn:pulumi:lab::clawft::" + imageToken + "::gateway")
	indexURN = presource.URN("urn:pulumi:lab::clawft::" + indexToken + "::release")
)

// TestPublish is the pipeline's way of a release, on a real BuildKit and a real
// registry: pushed by digest for two platforms, without any tag; then tagged
// with that very digest.
func TestPublish(t *testing.T) {
	lab := newLab(t)
	lab.write(t, "source/Dockerfile", "FROM scratch\nARG VERSION\nCOPY . /\nLABEL version=$VERSION\n")
	lab.write(t, "source/hello", "hello")
	inputs := lab.check(t, imageURN, map[string]any{
		"context":        map[string]any{"location": "source"},
		"builder":        map[string]any{"name": "lab"},
		"platforms":      []any{"linux/amd64", "linux/arm64"},
		"buildArgs":      map[string]any{"VERSION": "0.6.19 ${not} %{an expression}"},
		"buildOnPreview": false,
		"push":           false,
		"registries":     []any{lab.login()},
		"exports": []any{map[string]any{"registry": map[string]any{
			"names":        []any{lab.repository()},
			"push":         true,
			"pushByDigest": true,
		}}},
	})
	created, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs})
	if err != nil {
		t.Fatal(err)
	}
	digest := created.Properties.Get("digest").AsString()
	if created.ID != digest || created.Properties.Get("ref").AsString() != "" {
		t.Errorf("created %q with %v", created.ID, created.Properties)
	}
	if tags := lab.tags(t); len(tags) > 0 {
		t.Errorf("the build left the tags %q", tags)
	}
	image := lab.pull(t, lab.repository()+"@"+digest, "amd64")
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := config.Config.Labels["version"], "0.6.19 ${not} %{an expression}"; got != want {
		t.Errorf("the build argument arrived as %q, want %q", got, want)
	}
	lab.pull(t, lab.repository()+"@"+digest, "arm64")

	tag := lab.repository() + ":0.6.19"
	indexInputs := lab.check(t, indexURN, map[string]any{
		"tag": tag, "sources": []any{lab.repository() + "@" + digest}, "registry": lab.login(),
	})
	index, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: indexURN, Properties: indexInputs})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := index.Properties.Get("ref").AsString(), tag+"@"+digest; got != want {
		t.Errorf("the index is %q, want %q", got, want)
	}

	read := p.ReadRequest{ID: index.ID, Urn: indexURN, Inputs: indexInputs, Properties: index.Properties}
	if response, err := lab.provider.Read(t.Context(), read); err != nil || response.ID != index.ID {
		t.Errorf("reading the index: %q, %v", response.ID, err)
	}
	if err := lab.provider.Delete(t.Context(), p.DeleteRequest{
		ID: index.ID, Urn: indexURN, Properties: index.Properties, OldInputs: indexInputs,
	}); err != nil {
		t.Fatal(err)
	}
	if response, err := lab.provider.Read(t.Context(), read); err != nil || response.ID != "" {
		t.Errorf("reading a deleted index: %q, %v", response.ID, err)
	}
}

// lab is everything that a build needs, started for one test.
type lab struct {
	dir      string
	registry *registry.Registry
	provider p.Provider
}

func newLab(t *testing.T) *lab {
	t.Helper()
	dir := t.TempDir()
	reg, err := registry.Start(t.Context(), registry.Options{
		Dir: filepath.Join(dir, "registry"), Addresses: []string{address(t) + ":0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})

	// A socket's path has to be short.
	sockets, err := os.MkdirTemp("", "build")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(sockets); err != nil {
			t.Error(err)
		}
	})
	daemon, err := buildkit.Start(t.Context(), buildkit.Options{
		Buildkitd:  program(t, toolchain.Buildkitd),
		Dir:        filepath.Join(sockets, "state"),
		Socket:     filepath.Join(sockets, "s"),
		Registries: map[string]string{reg.Address(): reg.CAPath()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := daemon.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := buildx.New(buildx.Options{
		Program: program(t, toolchain.Buildx), Dir: filepath.Join(dir, "buildx"), Authorities: []string{reg.CAPath()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Run(t.Context(), "create", "--name", "lab", "--driver", "remote", daemon.Endpoint()); err != nil {
		t.Fatal(err)
	}
	return &lab{dir: dir, registry: reg, provider: New(Options{Client: client, Dir: dir, Authorities: []string{reg.CAPath()}})}
}

// address is one of this machine's own beside the loopback, for which buildx
// takes it that there is no TLS.
func address(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range all {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			return network.IP.String()
		}
	}
	t.Fatal("this machine has no IPv4 address but its loopback")
	return ""
}

func program(t *testing.T, tool toolchain.Tool) string {
	t.Helper()
	path, err := toolchain.Ensure(t.Context(), "../../..", tool, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (l *lab) repository() string { return l.registry.Address() + "/clawft/clawft" }

func (l *lab) login() map[string]any {
	return map[string]any{
		"address": l.registry.Address(), "username": l.registry.Username(), "password": l.registry.Password(),
	}
}

func (l *lab) write(t *testing.T, path, content string) {
	t.Helper()
	path = filepath.Join(l.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check returns the inputs with the provider's defaults.
func (l *lab) check(t *testing.T, urn presource.URN, inputs map[string]any) property.Map {
	t.Helper()
	response, err := l.provider.Check(t.Context(), p.CheckRequest{Urn: urn, Inputs: properties(inputs)})
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Failures) > 0 {
		t.Fatalf("the inputs were refused: %v", response.Failures)
	}
	return response.Inputs
}

func (l *lab) remote(t *testing.T) []remote.Option {
	t.Helper()
	r, err := newRegistries(t.Context(), []string{l.registry.CAPath()}, []sdk.Registry{{
		Address: l.registry.Address(), Username: ptr(l.registry.Username()), Password: ptr(l.registry.Password()),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r.with(t.Context())
}

func (l *lab) tags(t *testing.T) []string {
	t.Helper()
	repository, err := name.NewRepository(l.repository())
	if err != nil {
		t.Fatal(err)
	}
	tags, err := remote.List(repository, l.remote(t)...)
	if err != nil && !errors.Is(classify(err), errNotFound) {
		t.Fatal(err)
	}
	return tags
}

func (l *lab) pull(t *testing.T, ref, architecture string) v1.Image {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(parsed,
		append(l.remote(t), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))...)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func properties(m map[string]any) property.Map {
	return presource.FromResourcePropertyMap(presource.NewPropertyMapFromMap(m))
}
