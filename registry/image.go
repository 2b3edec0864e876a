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
	// Bytes is its CompressedSize.
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
		return nil, fmt.Errorf("fetching %s: %w", ref, r.classify(err))
	}
	image := &Image{Ref: ref.String()}
	if !found.MediaType.IsIndex() {
		single, err := found.Image()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", ref, err)
		}
		config, err := single.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("reading the config of %s: %w", ref, r.classify(err))
		}
		platform, err := r.platform(image.Ref, config.Platform(), single)
		if err != nil {
			return nil, err
		}
		image.Platforms = []Platform{platform}
		return image, nil
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
			return nil, fmt.Errorf("fetching the image for %s of %s: %w", entry.Platform, ref, r.classify(err))
		}
		platform, err := r.platform(image.Ref, entry.Platform, single)
		if err != nil {
			return nil, err
		}
		image.Platforms = append(image.Platforms, platform)
	}
	return image, nil
}

// platform reads how large an image is for a platform.
func (r *Repository) platform(ref string, platform *v1.Platform, image v1.Image) (Platform, error) {
	bytes, err := CompressedSize(image)
	if err != nil {
		return Platform{}, fmt.Errorf("reading the manifest for %s of %s: %w", platform, ref, r.classify(err))
	}
	return Platform{Name: platform.OS + "/" + platform.Architecture, Bytes: bytes, image: image}, nil
}

// CompressedSize is what a pull of an image for one platform transfers, in bytes:
// its config and its layers.
func CompressedSize(image v1.Image) (int64, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return 0, err
	}
	bytes := manifest.Config.Size
	for _, layer := range manifest.Layers {
		bytes += layer.Size
	}
	return bytes, nil
}

// Label is a label of the image of a digest, or "" if it has no such label. All
// platforms have the same.
func (r *Repository) Label(ctx context.Context, digest, label string) (string, error) {
	image, err := r.Image(ctx, digest)
	if err != nil || len(image.Platforms) == 0 {
		return "", err
	}
	config, err := image.Platforms[0].image.ConfigFile()
	if err != nil {
		return "", fmt.Errorf("reading the labels of %s: %w", image.Ref, r.classify(err))
	}
	return config.Config.Labels[label], nil
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
