package pipeline

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/clawft/infra/internal/recorder"
	"github.com/clawft/infra/internal/testregistry"
)

const published = "ghcr.io/clawft/clawft"

// redirected sends every request to one address, whatever its host is.
type redirected string

var _ http.RoundTripper = redirected("")

func (address redirected) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host = "http", string(address)
	return http.DefaultTransport.RoundTrip(request)
}

// serveWith makes a handler the one registry that there is.
func serveWith(t *testing.T, handler http.Handler) {
	t.Helper()
	server := httptest.NewServer(handler)
	before := remote.DefaultTransport
	t.Cleanup(func() {
		remote.DefaultTransport = before
		server.Close()
	})
	remote.DefaultTransport = redirected(server.Listener.Addr().String())
	// No login of the user's own is asked for.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
}

// serveTags makes a registry that holds the product's repository with some tags
// the one that there is, and returns it.
func serveTags(t *testing.T, tags ...string) http.Handler {
	t.Helper()
	handler := testregistry.Handler(digest)
	serveWith(t, handler)
	for _, tag := range tags {
		ref, err := name.NewTag(published + ":" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, empty.Image); err != nil {
			t.Fatal(err)
		}
	}
	return handler
}

// tagsOf are the tags that a stack publishes, by the names of their resources.
func tagsOf(t *testing.T, r *recorder.Recorder) map[string]string {
	t.Helper()
	tags := map[string]string{}
	for _, registered := range r.Resources() {
		if registered.Type != "docker-build:index:Index" {
			continue
		}
		tags[registered.Name] = registered.Inputs["tag"].StringValue()
		if !registered.Request.GetRetainOnDelete() {
			t.Errorf("%s would be deleted with its image, and all other tags of it", registered.Name)
		}
	}
	return tags
}

func TestPublishedTags(t *testing.T) {
	for _, test := range []struct{ name, version, existing, want string }{
		{"first release", "0.6.19", "", "0.6.19 0.6 latest"},
		{"next release", "1.2.0", "1.1.9 1.1 1 latest buildcache", "1.2.0 1.2 1 latest"},
		{"backport", "1.1.10", "1.2.0 1.2 1.1 1 latest", "1.1.10 1.1"},
		{"pre-release", "1.3.0-rc.1", "1.2.0 1.2 1 latest", "1.3.0-rc.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := recordedStack(t, "prod")
			r.Config["clawft:version"] = test.version
			serveTags(t, strings.Fields(test.existing)...)
			if err := r.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for _, tag := range strings.Fields(test.want) {
				want["gateway-tag-"+tag] = published + ":" + tag
			}
			if got := tagsOf(t, r); !maps.Equal(got, want) {
				t.Errorf("published are %v, want %v", got, want)
			}
			for _, registered := range r.Resources() {
				if registered.Type != "docker-build:index:Index" {
					continue
				}
				if got := registered.Inputs["sources"].ArrayValue()[0].StringValue(); got != published+"@"+digest {
					t.Errorf("%s is made of %s, want the proven digest", registered.Name, got)
				}
			}
		})
	}
}

// waitsFor tells whether an input of a resource needs another resource.
func waitsFor(t *testing.T, r *recorder.Recorder, typeToken, name, input, other string) bool {
	t.Helper()
	found := r.Find(typeToken, name)
	if found == nil {
		t.Fatalf("there is no %s %s", typeToken, name)
	}
	return slices.ContainsFunc(found.Request.GetPropertyDependencies()[input].GetUrns(), func(urn string) bool {
		return strings.HasSuffix(urn, "::"+other)
	})
}

func TestGatesComeFirst(t *testing.T) {
	const (
		command = "command:local:Command"
		release = "command:remote:Command"
		index   = "docker-build:index:Index"
	)
	type edge struct{ typeToken, name, input, other string }
	for _, test := range []struct {
		name, stack string
		image       map[string]any
		gates       []string
		edges       []edge
	}{
		{"published", "prod", nil, []string{"gateway-attest", "gateway-size", "gateway-smoke", "gateway-unpublished"}, []edge{
			{command, "gateway-size", "stdin", "gateway-build"},
			{command, "gateway-smoke", "stdin", "gateway-size"},
			{command, "gateway-unpublished", "stdin", "gateway-smoke"},
			{command, "gateway-attest", "stdin", "gateway-unpublished"},
			{index, "gateway-tag-0.6.19", "sources", "gateway-attest"},
			{index, "gateway-tag-latest", "sources", "gateway-attest"},
			{release, "gw-1-release", "stdin", "gateway-attest"},
		}},
		{"not published", "prod", map[string]any{"publish": false}, []string{"gateway-attest", "gateway-size", "gateway-smoke"}, []edge{
			{release, "gw-1-release", "stdin", "gateway-attest"},
		}},
		{"not signed", "prod", map[string]any{"sign": false}, []string{"gateway-size", "gateway-smoke", "gateway-unpublished"}, []edge{
			{index, "gateway-tag-0.6.19", "sources", "gateway-unpublished"},
			{release, "gw-1-release", "stdin", "gateway-unpublished"},
		}},
		{"not started here", "dev", nil, []string{"gateway-attest", "gateway-size"}, []edge{
			{release, "gw-dev-release", "stdin", "gateway-attest"},
		}},
		{"given", "dev", map[string]any{"source": "", "ref": "", "digest": digest}, nil, nil},
		{"given and published", "prod", map[string]any{"source": "", "ref": "", "digest": digest},
			[]string{"gateway-size", "gateway-smoke", "gateway-unpublished"}, []edge{
				{index, "gateway-tag-0.6.19", "sources", "gateway-unpublished"},
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := recordedStack(t, test.stack)
			for key, value := range test.image {
				setPath(t, r, "clawft:image", key, value)
			}
			if err := r.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			if gates := r.Names(command); !slices.Equal(gates, test.gates) {
				t.Errorf("the gates are %v, want %v", gates, test.gates)
			}
			for _, e := range test.edges {
				if !waitsFor(t, r, e.typeToken, e.name, e.input, e.other) {
					t.Errorf("%s does not wait for %s", e.name, e.other)
				}
			}
		})
	}
}
