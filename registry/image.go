package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Image is an image in a registry: one manifest for each of its platforms.
type Image struct {
	// Ref is repository@digest.
	Ref       string
	Platforms []Platform
}

// Platform is an image as one platform sees it.
type Platform struct {
	// Name is such as linux/arm64. Variants are left out: all arm64 is v8.
	Name string
	// Bytes is what a pull transfers: the config and the layers, compressed.
	Bytes int64

	image v1.Image
}

// Image reads an image by its digest. What is no image for a platform, such as
// an attestation ("unknown/unknown"), is left out.
func (r *Repository) Image(ctx context.Context, digest string) (*Image, error) {
	ref, err := name.NewDigest(r.name.String()+"@"+digest, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("reading the digest %q: %w", digest, err)
	}
	found, err := remote.Get(ref, r.with(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", ref, classify(err))
	}
	image := &Image{Ref: ref.String()}
	if !found.MediaType.IsIndex() {
		single, err := found.Image()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", ref, err)
		}
		config, err := single.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("reading the config of %s: %w", ref, classify(err))
		}
		return image, image.add(config.Platform(), single)
	}
	index, err := found.ImageIndex()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	for _, entry := range manifest.Manifests {
		if !entry.MediaType.IsImage() || entry.Platform == nil || entry.Platform.OS == "unknown" {
			continue
		}
		single, err := index.Image(entry.Digest)
		if err != nil {
			return nil, fmt.Errorf("fetching the image for %s of %s: %w", entry.Platform, ref, classify(err))
		}
		if err := image.add(entry.Platform, single); err != nil {
			return nil, err
		}
	}
	return image, nil
}

func (i *Image) add(platform *v1.Platform, image v1.Image) error {
	manifest, err := image.Manifest()
	if err != nil {
		return fmt.Errorf("reading the manifest for %s of %s: %w", platform, i.Ref, classify(err))
	}
	bytes := manifest.Config.Size
	for _, layer := range manifest.Layers {
		bytes += layer.Size
	}
	i.Platforms = append(i.Platforms, Platform{
		Name: platform.OS + "/" + platform.Architecture, Bytes: bytes, image: image,
	})
	return nil
}

// Names are the image's platforms: "linux/amd64, linux/arm64".
func (i *Image) Names() string {
	if len(i.Platforms) == 0 {
		return "none"
	}
	names := make([]string, len(i.Platforms))
	for n, platform := range i.Platforms {
		names[n] = platform.Name
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// For returns the image for a platform. The result's content is fetched when it
// is read, and checked against its digests.
func (i *Image) For(platform string) (v1.Image, bool) {
	at := slices.IndexFunc(i.Platforms, func(p Platform) bool { return p.Name == platform })
	if at < 0 {
		return nil, false
	}
	return i.Platforms[at].image, true
}
