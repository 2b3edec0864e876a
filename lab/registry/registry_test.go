package registry

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestContent pushes an index as a release is pushed, by digest first and
// under a tag later, and expects all of it back from a registry that was
// stopped in between.
func TestContent(t *testing.T) {
	dir := t.TempDir()
	index, err := random.Index(1024, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}

	first := start(t, dir)
	repository := first.Address() + "/clawft/clawft"
	byDigest := digestReference(t, repository, digest)
	if err := remote.WriteIndex(byDigest, index, clientOptions(t, first)...); err != nil {
		t.Fatalf("pushing by digest: %v", err)
	}
	if tags, err := remote.List(byDigest.Repository, clientOptions(t, first)...); err == nil && len(tags) > 0 {
		t.Fatalf("a push by digest left the tags %q", tags)
	}
	tag := byDigest.Tag("0.6.19")
	if err := remote.Tag(tag, index, clientOptions(t, first)...); err != nil {
		t.Fatalf("tagging: %v", err)
	}
	address := first.Address()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, dir, address)
	if second.Password() != first.Password() {
		t.Error("the password did not survive a restart")
	}
	descriptor, err := remote.Get(tag, clientOptions(t, second)...)
	if err != nil {
		t.Fatalf("pulling the tag after a restart: %v", err)
	}
	if descriptor.Digest != digest {
		t.Errorf("the tag points at %s, pushed was %s", descriptor.Digest, digest)
	}
	pulled, err := descriptor.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := pulled.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := pulled.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if layers, err := image.Layers(); err != nil || len(layers) != 2 {
		t.Fatalf("layers of the first image: %d, %v", len(layers), err)
	}

	if err := remote.Delete(byDigest, clientOptions(t, second)...); err != nil {
		t.Fatalf("deleting by digest: %v", err)
	}
	if _, err := remote.Head(tag, clientOptions(t, second)...); err == nil {
		t.Error("the tag outlived the manifest it points at")
	}
}

func TestRefusals(t *testing.T) {
	r := start(t, t.TempDir())
	trusting := &http.Client{Transport: transport(t, r)}
	get := func(t *testing.T, client *http.Client, user, password string) (*http.Response, error) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.Address()+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			request.SetBasicAuth(user, password)
		}
		response, err := client.Do(request)
		if err == nil {
			t.Cleanup(func() { _ = response.Body.Close() })
		}
		return response, err
	}

	t.Run("unknown authority", func(t *testing.T) {
		_, err := get(t, &http.Client{Transport: &http.Transport{}}, r.Username(), r.Password())
		if err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("a client without the authority got %v", err)
		}
	})
	for _, c := range []struct {
		name, user, password string
		status               int
	}{
		{"no credentials", "", "", http.StatusUnauthorized},
		{"wrong password", Username, "wrong", http.StatusUnauthorized},
		{"other user", "root", r.Password(), http.StatusUnauthorized},
		{"right", Username, r.Password(), http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, err := get(t, trusting, c.user, c.password)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status {
				t.Errorf("status %d, want %d", response.StatusCode, c.status)
			}
			challenge := response.Header.Get("WWW-Authenticate")
			if got := strings.HasPrefix(challenge, "Basic "); got != (c.status == http.StatusUnauthorized) {
				t.Errorf("status %d came with the challenge %q", c.status, challenge)
			}
		})
	}
}

func TestSecretsAreForTheOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	for _, file := range []string{"password", "ca.key"} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", file, mode)
		}
	}
}

func TestAddressErrors(t *testing.T) {
	taken := start(t, t.TempDir())
	for _, c := range []struct {
		name      string
		addresses []string
		message   string
	}{
		{"none", nil, "no address to listen on"},
		{"taken", []string{taken.Address()}, taken.Address() + " is taken by another program"},
		{"not this machine's", []string{"192.0.2.1:5000"}, "this machine has no address 192.0.2.1:5000"},
		{"second one taken", []string{"127.0.0.1:0", taken.Address()}, taken.Address() + " is taken by another program"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Start(t.Context(), Options{Dir: t.TempDir(), Addresses: c.addresses})
			if err == nil {
				_ = r.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %q does not say %q", err, c.message)
			}
		})
	}
}

func start(t *testing.T, dir string, addresses ...string) *Registry {
	t.Helper()
	if len(addresses) == 0 {
		addresses = []string{"127.0.0.1:0"}
	}
	r, err := Start(t.Context(), Options{Dir: dir, Addresses: addresses, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func transport(t *testing.T, r *Registry) *http.Transport {
	t.Helper()
	ca, err := os.ReadFile(r.CAPath())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatalf("%s holds no certificate", r.CAPath())
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func clientOptions(t *testing.T, r *Registry) []remote.Option {
	t.Helper()
	return []remote.Option{
		remote.WithAuth(&authn.Basic{Username: r.Username(), Password: r.Password()}),
		remote.WithTransport(transport(t, r)),
		remote.WithContext(t.Context()),
	}
}

func digestReference(t *testing.T, repository string, digest v1.Hash) name.Digest {
	t.Helper()
	reference, err := name.NewDigest(repository + "@" + digest.String())
	if err != nil {
		t.Fatal(err)
	}
	return reference
}
