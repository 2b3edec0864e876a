package gatewayimage

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Images returns the images of an OCI layout by platform ("linux/arm64").
// Entries for attestations, of the platform unknown/unknown, are left out.
func Images(dir string) (map[string]v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("reading layout: %w", err)
	}
	images := map[string]v1.Image{}
	if err := collect(index, images); err != nil {
		return nil, fmt.Errorf("reading layout %s: %w", dir, err)
	}
	if len(images) == 0 {
		return nil, errors.New("the layout holds no image")
	}
	return images, nil
}

func collect(index v1.ImageIndex, images map[string]v1.Image) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, entry := range manifest.Manifests {
		if entry.MediaType.IsIndex() {
			inner, err := index.ImageIndex(entry.Digest)
			if err != nil {
				return err
			}
			if err := collect(inner, images); err != nil {
				return err
			}
			continue
		}
		image, err := index.Image(entry.Digest)
		if err != nil {
			return err
		}
		config, err := image.ConfigFile()
		if err != nil {
			return err
		}
		if config.OS != "unknown" {
			images[config.OS+"/"+config.Architecture] = image
		}
	}
	return nil
}
