package bases

import (
	"archive/tar"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestAnswers(t *testing.T) {
	for status, want := range map[int]bool{200: true, 401: true, 403: false, 502: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if got := answers(t.Context(), server.URL); got != want {
			t.Errorf("a registry that answers %d is there: %v, want %v", status, got, want)
		}
		server.Close()
		if answers(t.Context(), server.URL) {
			t.Error("a registry that is gone is there")
		}
	}
}

func TestNameFollowsTheRecipe(t *testing.T) {
	names := map[string]bool{}
	for _, given := range []struct {
		native, foreign string
		trusted         []byte
	}{
		{"amd64", "arm64", nil}, {"arm64", "amd64", nil}, {"amd64", "arm64", []byte("authority")}, {"amd64", "arm64", []byte("another")},
	} {
		for _, b := range stands(given.native, given.foreign, given.trusted) {
			names[b.name()] = true
		}
	}
	// The runtime's image holds nothing of the machine's authorities.
	if len(names) != 2+4 {
		t.Errorf("%d names, want 2 of debian and 4 of rust: %v", len(names), names)
	}
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	var images []platformImage
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := base{level: gzip.BestSpeed}.image(tree{arch: arch}, writeTree(t, arch))
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, platformImage{arch, image})
	}
	if err := writeLayout(filepath.Join(dir, "layout"), images); err != nil {
		t.Fatal(err)
	}
	digest, err := layoutDigest(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	top, err := layout.ImageIndexFromPath(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	index, err := top.ImageIndex(hash)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		entry := manifest.Manifests[i]
		if entry.Platform == nil || entry.Platform.Architecture != arch || entry.MediaType != types.OCIManifestSchema1 {
			t.Errorf("entry %d is %+v, want %s", i, entry, arch)
		}
		image, err := index.Image(entry.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil || config.Architecture != arch || config.OS != "linux" || len(config.Config.Env) != 1 {
			t.Errorf("config of %s: %+v (%v)", arch, config, err)
		}
	}
}

func writeTree(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".tar")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := tar.NewWriter(file)
	if err := archive.WriteHeader(&tar.Header{Name: "./etc/" + name, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDamagedLayout(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if digest, err := layoutDigest(dir); err == nil {
		t.Errorf("a layout without entries has digest %s", digest)
	}
}
