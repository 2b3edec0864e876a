package registry

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

var login = &Login{Username: "clawft", Password: "right"}

// serve returns the name of a repository in a registry that knows one login.
func serve(t *testing.T) string {
	t.Helper()
	handler := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != login.Username || password != login.Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	// No login of the user's own answers here.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	return strings.TrimPrefix(server.URL, "http://") + "/clawft/clawft"
}

func open(t *testing.T, repository string, login *Login) *Repository {
	t.Helper()
	opened, err := Open(repository, login)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// push puts an index or image under a tag and returns its digest.
func push(t *testing.T, repository *Repository, tag string, content remote.Taggable) string {
	t.Helper()
	ref := repository.name.Tag(tag)
	var err error
	var digest v1.Hash
	switch content := content.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, content, repository.options...)
		digest, _ = content.Digest()
	case v1.Image:
		err = remote.Write(ref, content, repository.options...)
		digest, _ = content.Digest()
	}
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func randomImage(t *testing.T, layerBytes int64) v1.Image {
	t.Helper()
	image, err := random.Image(layerBytes, 2)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func entry(image v1.Image, os, architecture, variant string) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
		Platform: &v1.Platform{OS: os, Architecture: architecture, Variant: variant},
	}}
}

// transferred is what a pull of an image transfers, counted by its blobs.
func transferred(t *testing.T, image v1.Image) int64 {
	t.Helper()
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	total := int64(len(config))
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		size, err := io.Copy(io.Discard, content)
		if err != nil {
			t.Fatal(err)
		}
		total += size
	}
	return total
}

func TestImageOfSeveralPlatforms(t *testing.T) {
	repository := open(t, serve(t), login)
	amd64, arm64, attestation := randomImage(t, 1000), randomImage(t, 2000), randomImage(t, 500000)
	digest := push(t, repository, "0.6.19", mutate.AppendManifests(empty.Index,
		entry(arm64, "linux", "arm64", "v8"), entry(amd64, "linux", "amd64", ""), entry(attestation, "unknown", "unknown", "")))

	image, err := repository.Image(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := image.Names(), "linux/amd64, linux/arm64"; got != want {
		t.Errorf("the image has %s, want %s", got, want)
	}
	for _, platform := range image.Platforms {
		source := map[string]v1.Image{"linux/amd64": amd64, "linux/arm64": arm64}[platform.Name]
		if want := transferred(t, source); platform.Bytes != want {
			t.Errorf("%s is said to be %d bytes, want %d", platform.Name, platform.Bytes, want)
		}
	}
	if _, found := image.For("linux/riscv64"); found {
		t.Error("the image is said to run on linux/riscv64")
	}
	got, found := image.For("linux/arm64")
	if !found {
		t.Fatal("the image is said not to run on linux/arm64")
	}
	if got, want := digestOf(t, got), digestOf(t, arm64); got != want {
		t.Errorf("the image for linux/arm64 is %s, want %s", got, want)
	}
}

func digestOf(t *testing.T, image v1.Image) v1.Hash {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestImageOfOnePlatform(t *testing.T) {
	repository := open(t, serve(t), login)
	image := randomImage(t, 1000)
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "arm64"
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	got, err := repository.Image(t.Context(), push(t, repository, "0.6.19", image))
	if err != nil {
		t.Fatal(err)
	}
	if got.Names() != "linux/arm64" || got.Platforms[0].Bytes != transferred(t, image) {
		t.Errorf("got %s with %d bytes, want linux/arm64 with %d", got.Names(), got.Platforms[0].Bytes, transferred(t, image))
	}
}

func TestTagsAndDigests(t *testing.T) {
	address := serve(t)
	repository := open(t, address, login)
	if tags, err := repository.Tags(t.Context()); err != nil || len(tags) > 0 {
		t.Errorf("a repository that does not exist has tags %v, %v; want none", tags, err)
	}
	digest := push(t, repository, "0.6.19", randomImage(t, 10))
	push(t, repository, "latest", randomImage(t, 10))
	tags, err := repository.Tags(t.Context())
	if err != nil || !slices.Equal(tags, []string{"0.6.19", "latest"}) {
		t.Errorf("got tags %v, %v", tags, err)
	}
	if got, err := repository.Digest(t.Context(), "0.6.19"); err != nil || got != digest {
		t.Errorf("0.6.19 is %s, %v; want %s", got, err, digest)
	}
	if _, err := repository.Digest(t.Context(), "0.6.20"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := repository.Image(t.Context(), "sha256:"+strings.Repeat("1", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}

	for who, login := range map[string]*Login{"nobody": nil, "a wrong password": {Username: login.Username, Password: "wrong-canary"}} {
		t.Run(who, func(t *testing.T) {
			_, err := open(t, address, login).Tags(t.Context())
			host, _, _ := strings.Cut(address, "/")
			advice := "log in with `docker login " + host + "`, or set clawft:image.username and clawft:registryPassword"
			if login != nil {
				advice = `check clawft:registryPassword or clawft:registryPullToken, and what user "clawft" may do`
			}
			if !errors.Is(err, ErrDenied) || !strings.HasSuffix(err.Error(), advice) {
				t.Errorf("got %v, want ErrDenied and %q", err, advice)
			}
			if err != nil && strings.Contains(err.Error(), "wrong-canary") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestDockersOwnLogin(t *testing.T) {
	address := serve(t)
	host, _, _ := strings.Cut(address, "/")
	config := `{"auths":{"` + host + `":{"username":"clawft","password":"right"}}}`
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, address, nil).Tags(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRepositoriesThatAreNone(t *testing.T) {
	for _, given := range []string{"", "GHCR.io/Clawft", "ghcr.io/clawft/clawft:1.0.0"} {
		if _, err := Open(given, nil); err == nil || !strings.Contains(err.Error(), strconv.Quote(given)) {
			t.Errorf("%q: got %v, want an error that shows it", given, err)
		}
	}
}
