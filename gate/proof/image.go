package proof

import (
	"context"
	"errors"
	"fmt"

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
	image, err := repository.Image(ctx, i.Digest)
	if err != nil {
		return nil, i.Explain(err)
	}
	return image, nil
}

// Explain says what to do about the registry's refusals.
func (i Image) Explain(err error) error {
	if !errors.Is(err, registry.ErrDenied) {
		return err
	}
	if i.Login == nil {
		return fmt.Errorf("%w; log in with `docker login`, or set clawft:image.username and clawft:registryPassword", err)
	}
	return fmt.Errorf("%w; check clawft:registryPassword and what user %q may do", err, i.Login.Username)
}
