package proof

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/signature"
)

// Signed proves that an image is signed by one of the keys that are trusted.
type Signed struct {
	Image
	// Keys are public keys in PEM format.
	Keys []string `json:"keys"`
}

// Run fetches the image's signatures, and returns a valid one with the keys, as
// a signature.Proof in JSON.
func (s *Signed) Run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	keys, err := signature.ParsePublicKeys(s.Keys)
	if err != nil {
		return "", fmt.Errorf("reading clawft:image.publicKeys: %w", err)
	}
	repository, err := registry.Open(s.Repository, s.Login)
	if err != nil {
		return "", err
	}
	signatures, err := repository.Signatures(ctx, s.Digest)
	if err != nil {
		return "", err
	}
	found, err := signature.Find(ctx, signatures, s.Digest, keys...)
	if err != nil {
		return "", fmt.Errorf("%s@%s may not be deployed: %w; deploy an image that is signed by one of the keys of clawft:image.publicKeys, "+
			"or add the key that signs", s.Repository, s.Digest, err)
	}
	text, err := json.Marshal(signature.Proof{Keys: s.Keys, Image: found})
	if err != nil {
		return "", fmt.Errorf("encoding the signature: %w", err)
	}
	return string(text), nil
}
