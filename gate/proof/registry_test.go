package proof

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// serve starts a registry and returns the name of a repository in it.
func serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	return strings.TrimPrefix(server.URL, "http://") + "/clawft/clawft"
}

// indexOf returns an index of images of given sizes in bytes, by platform.
func indexOf(t *testing.T, platforms map[string]int64) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for platform, bytes := range platforms {
		os, architecture, _ := strings.Cut(platform, "/")
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        imageOf(t, bytes),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: architecture}},
		})
	}
	return index
}

// imageOf returns an image whose config and one layer have a given size together.
func imageOf(t *testing.T, bytes int64) v1.Image {
	t.Helper()
	withLayer := func(size int64) v1.Image {
		image, err := mutate.AppendLayers(empty.Image, static.NewLayer(make([]byte, size), types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	// The config has the same size whatever the layer's is.
	manifest, err := withLayer(0).Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return withLayer(bytes - manifest.Config.Size)
}

// publish puts an index under a tag and returns its digest.
func publish(t *testing.T, repository, tag string, index v1.ImageIndex) string {
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

// wantError demands an error that contains all texts.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error lacks %q: %v", text, err)
		}
	}
}
