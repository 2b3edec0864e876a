// Package testregistry is a registry for the tests of what reads and writes one.
package testregistry

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Handler is a registry that knows no logins. It also says to have the images of some
// digests, of which nobody can read more than that they are there.
func Handler(digests ...string) http.Handler {
	registry := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		digest := path.Base(request.URL.Path)
		if request.Method != http.MethodHead || !slices.Contains(digests, digest) {
			registry.ServeHTTP(w, request)
			return
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		w.Header().Set("Content-Length", "2")
		w.Header().Set("Docker-Content-Digest", digest)
	})
}

// New serves a Handler until the test ends, and returns the name of a repository in
// it.
func New(t *testing.T, digests ...string) string {
	t.Helper()
	server := httptest.NewServer(Handler(digests...))
	t.Cleanup(server.Close)
	// No login of the user's own is tried.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	return strings.TrimPrefix(server.URL, "http://") + "/clawft/clawft"
}

// Index makes one image of those for several platforms, such as linux/arm64.
func Index(images map[string]v1.Image) v1.ImageIndex {
	index := v1.ImageIndex(empty.Index)
	for platform, image := range images {
		os, architecture, _ := strings.Cut(platform, "/")
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: architecture}},
		})
	}
	return index
}

// Push puts an image under a tag and returns its digest.
func Push(t *testing.T, repository, tag string, index v1.ImageIndex) string {
	t.Helper()
	ref, err := name.NewTag(repository + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}
