package dockerbuild

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	p "github.com/pulumi/pulumi-go-provider"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/internal/testgit"
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
	write(t, lab.dir, "source/Dockerfile", "FROM scratch\nARG VERSION\nCOPY . /\nLABEL version=$VERSION\n", 0o644)
	write(t, lab.dir, "source/hello", "hello", 0o644)
	inputs := lab.check(t, imageURN, map[string]any{
		"context":        map[string]any{"location": "source"},
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

// TestTagged pushes in the simpler way, by tag.
func TestTagged(t *testing.T) {
	lab := newLab(t)
	write(t, lab.dir, "source/Dockerfile", "FROM scratch\nCOPY . /\n", 0o644)
	tag := lab.repository() + ":edge"
	inputs := lab.check(t, imageURN, map[string]any{
		"context": map[string]any{"location": "source"}, "builder": map[string]any{"name": "lab"},
		"push": true, "tags": []any{tag}, "registries": []any{lab.login()},
	})

	preview, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs, DryRun: true})
	if err != nil {
		t.Fatalf("previewing with a build: %v", err)
	}
	if tags := lab.tags(t); len(tags) > 0 || !preview.Properties.Get("digest").IsComputed() {
		t.Errorf("the preview pushed %q and returned %v", tags, preview.Properties)
	}

	created, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs})
	if err != nil {
		t.Fatal(err)
	}
	digest := created.Properties.Get("digest").AsString()
	if got, want := created.Properties.Get("ref").AsString(), tag+"@"+digest; got != want {
		t.Errorf("ref is %q, want %q", got, want)
	}
	if got := lab.tags(t); !slices.Equal(got, []string{"edge"}) {
		t.Errorf("the registry has the tags %q", got)
	}

	read := func() string {
		t.Helper()
		response, err := lab.provider.Read(t.Context(), p.ReadRequest{
			ID: created.ID, Urn: imageURN, Inputs: inputs, Properties: created.Properties,
		})
		if err != nil {
			t.Fatal(err)
		}
		return response.ID
	}
	if id := read(); id != created.ID {
		t.Errorf("an image that exists was read as %q", id)
	}
	if err := lab.provider.Delete(t.Context(), p.DeleteRequest{
		ID: created.ID, Urn: imageURN, Properties: created.Properties, OldInputs: inputs,
	}); err != nil {
		t.Fatal(err)
	}
	if id := read(); id != "" {
		t.Errorf("an image that is gone was read as %q", id)
	}
}

// TestRefusedPush shows that nothing is taken for pushed that was not.
func TestRefusedPush(t *testing.T) {
	lab := newLab(t)
	write(t, lab.dir, "source/Dockerfile", "FROM scratch\nCOPY . /\n", 0o644)
	login := lab.login()
	login["password"] = "wrong-password"
	inputs := lab.check(t, imageURN, map[string]any{
		"context": map[string]any{"location": "source"}, "builder": map[string]any{"name": "lab"},
		"push": true, "tags": []any{lab.repository() + ":edge"}, "registries": []any{login},
	})
	_, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs})
	if err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("pushing with a wrong password: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "wrong-password") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestFailingBuild(t *testing.T) {
	lab := newLab(t)
	for _, c := range []struct {
		name, dockerfile, message string
	}{
		{"file that is not there", "FROM scratch\nCOPY absent /\n", `"/absent": not found`},
		{"step that fails", "FROM scratch\nRUN [\"/absent\"]\n", "process \"/absent\" did not complete successfully"},
		{"stage that is not there", "FROM scratch\nCOPY --from=absent.invalid/x /a /b\n", "absent.invalid/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, lab.dir, "source/Dockerfile", c.dockerfile, 0o644)
			inputs := lab.check(t, imageURN, map[string]any{
				"context": map[string]any{"location": "source"}, "builder": map[string]any{"name": "lab"}, "push": false,
				"exports": []any{map[string]any{"cacheonly": map[string]any{}}},
			})
			_, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs})
			if err == nil || !strings.HasPrefix(err.Error(), "building: ") || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %v does not say %q", err, c.message)
			}
		})
	}
}

// TestCancelled ends a build that waits for a file which never comes, and
// expects that nobody waits for it any more afterwards.
func TestCancelled(t *testing.T) {
	lab := newLab(t)
	asked, left := make(chan struct{}), make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			close(asked)
			<-r.Context().Done()
			close(left)
		})
	}))
	t.Cleanup(server.Close)
	write(t, lab.dir, "source/Dockerfile", "FROM scratch\nADD "+server.URL+"/file /\n", 0o644)
	inputs := lab.check(t, imageURN, map[string]any{
		"context": map[string]any{"location": "source"}, "builder": map[string]any{"name": "lab"}, "push": false,
	})

	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := lab.provider.Create(ctx, p.CreateRequest{Urn: imageURN, Properties: inputs})
		result <- err
	}()
	timeout := time.After(time.Minute)
	select {
	case <-asked:
	case <-timeout:
		t.Fatal("the build did not begin within a minute")
	}
	cancel()
	select {
	case err := <-result:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error: %v", err)
		}
	case <-timeout:
		t.Fatal("the cancelled build did not end within a minute")
	}
	select {
	case <-left:
	case <-timeout:
		t.Error("BuildKit still builds for nobody")
	}
}

// TestGitContext builds from a repository, whose Dockerfile is the one that
// counts unless the program brings its own.
func TestGitContext(t *testing.T) {
	lab := newLab(t)
	write(t, lab.dir, "repository/Dockerfile", "FROM scratch\nLABEL from=repository\nCOPY file /\n", 0o644)
	write(t, lab.dir, "repository/file", "content", 0o644)
	write(t, lab.dir, "Dockerfile", "FROM scratch\nLABEL from=project\nCOPY file /\n", 0o644)
	location := serveGit(t, filepath.Join(lab.dir, "repository"))

	for _, c := range []struct {
		name       string
		dockerfile map[string]any
		want       string
	}{
		{"none given", nil, "repository"},
		{"relative path", map[string]any{"location": "Dockerfile"}, "repository"},
		{"absolute path", map[string]any{"location": filepath.Join(lab.dir, "Dockerfile")}, "project"},
		{"inline", map[string]any{"inline": "FROM scratch\nLABEL from=inline\nCOPY file /\n"}, "inline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inputs := map[string]any{
				"context": map[string]any{"location": location}, "builder": map[string]any{"name": "lab"},
				"platforms": []any{"linux/amd64"}, "push": true, "tags": []any{lab.repository() + ":git"}, "registries": []any{lab.login()},
			}
			if c.dockerfile != nil {
				inputs["dockerfile"] = c.dockerfile
			}
			created, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: lab.check(t, imageURN, inputs)})
			if err != nil {
				t.Fatal(err)
			}
			config, err := lab.pull(t, created.Properties.Get("ref").AsString(), "amd64").ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if got := config.Config.Labels["from"]; got != c.want {
				t.Errorf("built by the Dockerfile of the %s, want that of the %s", got, c.want)
			}
		})
	}
}

// serveGit commits dir and serves it; it returns the URL of the commit.
func serveGit(t *testing.T, dir string) string {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, output)
		}
		return strings.TrimSpace(string(output))
	}
	git("init", "--quiet")
	git("add", ".")
	git("-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "test")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	daemon := exec.CommandContext(t.Context(), "git", "daemon", "--export-all", "--reuseaddr",
		"--listen=127.0.0.1", "--port="+port, "--base-path="+dir)
	// Asked to end, git ends and awaits the daemon that it started; killed, it
	// would leave it behind.
	daemon.Cancel = func() error { return daemon.Process.Signal(syscall.SIGTERM) }
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Wait() })
	address := net.JoinHostPort("127.0.0.1", port)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("git daemon does not answer: %v", err)
		}
	}
	return "git://" + address + "/.git#" + git("rev-parse", "HEAD")
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
	if err := client.Use(t.Context(), "lab", daemon.Endpoint()); err != nil {
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

// properties converts literals, among which there may be property.Computed.
func properties(m map[string]any) property.Map { return convert(m).AsMap() }

func convert(v any) property.Value {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]property.Value{}
		for name, item := range v {
			m[name] = convert(item)
		}
		return property.New(m)
	case []any:
		items := make([]property.Value, 0, len(v))
		for _, item := range v {
			items = append(items, convert(item))
		}
		return property.New(items)
	case nil:
		return property.Value{}
	default:
		value, err := property.Any(v)
		if err != nil {
			panic(err)
		}
		return value
	}
}

// A private repository is read with a secret of the build, which stays out of the
// image and of everything that is printed; another token is no change.
func TestPrivateGitContext(t *testing.T) {
	const token = "planted-token"
	lab := newLab(t)
	write(t, lab.dir, "private/file", "content", 0o644)
	location := serveGit(t, filepath.Join(lab.dir, "private"))
	server := testgit.Serve(t, lab.dir, "x-access-token", token)
	_, commit, _ := strings.Cut(location, "#")
	if err := os.Symlink("private/.git", filepath.Join(lab.dir, "private.git")); err != nil {
		t.Fatal(err)
	}
	source := components.Source{URL: server.URL + "/private.git", Username: "x-access-token", Token: token}
	secret := "GIT_AUTH_HEADER." + source.Host()
	inputs := func(header string) property.Map {
		given := map[string]any{
			"context": map[string]any{"location": source.URL + "#" + commit}, "dockerfile": map[string]any{"inline": "FROM scratch\nCOPY file /\n"},
			"platforms": []any{"linux/amd64"}, "push": true, "tags": []any{lab.repository() + ":private"}, "registries": []any{lab.login()},
			// The one that was fetched before would be used otherwise.
			"noCache": true,
		}
		if header != "" {
			given["secrets"] = map[string]any{secret: header}
			given["ignoreSecretsInDiffCalculation"] = []any{secret}
		}
		return lab.check(t, imageURN, given)
	}
	if _, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs("")}); err == nil {
		t.Fatal("a private repository was read without a login")
	}
	created, err := lab.provider.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs(source.Header())})
	if err != nil {
		t.Fatal(err)
	}
	image := lab.pull(t, created.Properties.Get("ref").AsString(), "amd64")
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{token, strings.Fields(source.Header())[1]} {
		if strings.Contains(string(config), hidden) {
			t.Errorf("the image shows the token: %s", config)
		}
		if strings.Contains(fmt.Sprint(created.Properties.Get("digest"), created.Properties.Get("ref"), created.Properties.Get("contextHash")), hidden) {
			t.Error("the state shows the token")
		}
	}
	if !created.Properties.Get("secrets").HasSecrets() {
		t.Error("the token is no secret in the state")
	}

	server.Rotate("another-token")
	source.Token = "another-token"
	diff, err := lab.provider.Diff(t.Context(), p.DiffRequest{
		ID: created.ID, Urn: imageURN, State: created.Properties, OldInputs: inputs("basic old"), Inputs: inputs(source.Header()),
	})
	if err != nil || diff.HasChanges {
		t.Errorf("another token is a change: %v, %v", diff.DetailedDiff, err)
	}
	if _, err := lab.provider.Update(t.Context(), p.UpdateRequest{
		ID: created.ID, Urn: imageURN, State: created.Properties, OldInputs: inputs("basic old"), Inputs: inputs(source.Header()),
	}); err != nil {
		t.Errorf("the next build does not use the new token: %v", err)
	}
}
