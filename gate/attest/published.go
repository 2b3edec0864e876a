package attest

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/signature"
)

// Signed returns the signature of the image of a digest by one of some keys, and
// what the provenance by that key says that it was built from. Without a signature
// the error is a signature.ErrNone; without provenance the build is nil.
func Signed(ctx context.Context, repository *registry.Repository, digest string, keys ...signature.PublicKey) (signature.Image, *Build, error) {
	there, err := repository.Signatures(ctx, digest)
	if err != nil {
		return signature.Image{}, nil, err
	}
	found, err := signature.Find(ctx, there, digest, keys...)
	if err != nil {
		return signature.Image{}, nil, err
	}
	for _, key := range keys {
		if found.Verify(ctx, digest, key) != nil {
			continue
		}
		statements, err := Statements(ctx, repository, digest, key)
		if err != nil {
			return signature.Image{}, nil, err
		}
		for _, statement := range statements {
			if statement.PredicateType != Provenance {
				continue
			}
			var about provenance
			if err := json.Unmarshal(statement.Predicate, &about); err != nil {
				return signature.Image{}, nil, fmt.Errorf("reading the provenance of %s: %w", digest, err)
			}
			return found, &about.BuildDefinition.ExternalParameters, nil
		}
	}
	return found, nil, nil
}
