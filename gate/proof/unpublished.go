package proof

import (
	"context"
	"errors"
	"fmt"

	"github.com/clawft/infra/registry"
)

// Unpublished proves that a version is not published yet, or with this very
// image: what a version stands for never changes.
type Unpublished struct {
	Image
	Version string `json:"version"`
}

// Run asks for the tag of the version.
func (u *Unpublished) Run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	repository, err := registry.Open(u.Repository, u.Login)
	if err != nil {
		return "", err
	}
	published, err := repository.Digest(ctx, u.Version)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return fmt.Sprintf("%s is not published yet", u.Version), nil
	case err != nil:
		return "", err
	case published != u.Digest:
		return "", fmt.Errorf("version %s is published already with other content: %s:%s is %s, and this image is %s; "+
			"raise clawft:version, or deploy what is published: without clawft:image.source, and with clawft:image.digest %s",
			u.Version, u.Repository, u.Version, published, u.Digest, published)
	}
	return fmt.Sprintf("%s is published already, with this digest", u.Version), nil
}
