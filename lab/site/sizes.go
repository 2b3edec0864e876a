package site

import (
	"context"
	"fmt"
	"strings"

	"github.com/clawft/infra/registry"
)

// Sizes describes the platforms of an image in the lab's registry, with what a
// host downloads for each: "linux/amd64 21.4 MB".
func (s *Site) Sizes(ctx context.Context, ref string) (string, error) {
	repository, digest, err := s.repository(ref)
	if err != nil {
		return "", err
	}
	image, err := repository.Image(ctx, digest)
	if err != nil {
		return "", err
	}
	var sizes []string
	for _, platform := range image.Platforms {
		sizes = append(sizes, fmt.Sprintf("%s %.1f MB", platform.Name, float64(platform.Bytes)/1e6))
	}
	return strings.Join(sizes, ", "), nil
}

// repository opens the one of an image in the lab's registry, and returns the
// image's digest.
func (s *Site) repository(ref string) (repository *registry.Repository, digest string, err error) {
	name, digest, _ := strings.Cut(ref, "@")
	repository, err = registry.Open(name, &registry.Login{Username: s.Registry.Username(), Password: s.Registry.Password()})
	return repository, digest, err
}
