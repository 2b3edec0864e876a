package proof

import (
	"context"

	"github.com/clawft/infra/registry"
)

// Image names the image to prove, by its digest, and how to read it.
type Image struct {
	// Repository is registry and path, without a tag.
	Repository string `json:"repository"`
	// Digest is sha256:… of the image's index.
	Digest string `json:"digest"`
	// Login may read the repository. Without one, Docker's own login is used.
	Login *registry.Login `json:"login,omitempty"`
}

// open reads the image.
func (i Image) open(ctx context.Context) (*registry.Image, error) {
	repository, err := registry.Open(i.Repository, i.Login)
	if err != nil {
		return nil, err
	}
	return repository.Image(ctx, i.Digest)
}
