package proof

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/clawft/infra/internal/testregistry"
)

// indexOf returns an index of images of given sizes in bytes, by platform.
func indexOf(t *testing.T, platforms map[string]int64) v1.ImageIndex {
	t.Helper()
	images := map[string]v1.Image{}
	for platform, bytes := range platforms {
		images[platform] = imageOf(t, bytes)
	}
	return testregistry.Index(images)
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
