package bases

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// path is the search path that Debian's own images set.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// platformImage is one entry of an index.
type platformImage struct {
	arch  string
	image v1.Image
}

// image makes an image of one layer from a tree. It takes the tarball's place.
func (b base) image(t tree, file string) (v1.Image, error) {
	compressed, err := compress(file, b.level)
	if err != nil {
		return nil, fmt.Errorf("compressing the tree: %w", err)
	}
	layer, err := tarball.LayerFromFile(compressed, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("reading the tree: %w", err)
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		return nil, fmt.Errorf("adding the tree to an image: %w", err)
	}
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's config: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", t.arch
	config.Config.Env, config.Config.Cmd = []string{path}, []string{"bash"}
	return mutate.ConfigFile(image, config)
}

// compress replaces a file by its gzip form and returns that one's path.
func compress(file string, level int) (string, error) {
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.Create(file + ".gz")
	if err != nil {
		return "", err
	}
	defer out.Close()
	zip, err := gzip.NewWriterLevel(out, level)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(zip, in)
	if err = errors.Join(err, zip.Close(), out.Close()); err != nil {
		return "", err
	}
	return out.Name(), os.Remove(file)
}

// writeLayout writes an OCI layout whose single entry is an index of the images.
func writeLayout(dir string, images []platformImage) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, i := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        i.image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: i.arch}},
		})
	}
	out, err := layout.Write(dir, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	if err != nil {
		return fmt.Errorf("writing layout: %w", err)
	}
	if err := out.AppendIndex(index); err != nil {
		return fmt.Errorf("writing layout: %w", err)
	}
	return nil
}

// layoutDigest is the digest of a layout's single entry.
func layoutDigest(dir string) (string, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return "", err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return "", fmt.Errorf("reading layout %s: %w; delete it and run this again", dir, err)
	}
	if len(manifest.Manifests) != 1 {
		return "", fmt.Errorf("layout %s has %d entries, want 1; delete it and run this again", dir, len(manifest.Manifests))
	}
	return manifest.Manifests[0].Digest.String(), nil
}
