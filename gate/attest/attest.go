package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/clawft/infra/gate/proof"
	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/sbom"
	"github.com/clawft/infra/signature"
)

// timeout bounds everything: most of it is reading the image's layers.
const timeout = 10 * time.Minute

// Attest signs an image and attests what it is.
type Attest struct {
	// The login of Image must be allowed to push.
	proof.Image
	// Key is the private key to sign with, in PEM format: see signature.ParseKey.
	Key string `json:"key"`
	// Keys are the public keys that the image may be signed by, in PEM format.
	// Without any it is the public half of Key.
	Keys []string `json:"keys,omitempty"`
	// Build says what the image was built from.
	Build Build `json:"build"`
}

// Run signs and attaches what is not there yet, and returns a signature.Proof as
// JSON.
func (a *Attest) Run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	key, err := signature.ParseKey(a.Key)
	if err != nil {
		return "", fmt.Errorf("reading the signing key, clawft:signingKey: %w", err)
	}
	repository, err := registry.Open(a.Repository, a.Login)
	if err != nil {
		return "", err
	}
	image, err := repository.Image(ctx, a.Digest)
	if err != nil {
		return "", err
	}
	keys := a.Keys
	if len(keys) == 0 {
		keys = []string{key.Public().String()}
	}
	trusted, err := signature.ParsePublicKeys(keys)
	if err != nil {
		return "", fmt.Errorf("reading clawft:image.publicKeys: %w", err)
	}
	if err := a.attest(ctx, repository, image, key, trusted); err != nil {
		return "", fmt.Errorf("attesting %s: %w", image.Ref, err)
	}
	// Last: who finds a signature finds the statements as well.
	signed, err := a.sign(ctx, repository, key)
	if err != nil {
		return "", fmt.Errorf("signing %s: %w", image.Ref, err)
	}
	text, err := json.Marshal(signature.Proof{Keys: keys, Image: signed})
	if err != nil {
		return "", fmt.Errorf("encoding the signature: %w", err)
	}
	return string(text), nil
}

// attest attaches the statements. What one of the trusted keys has attested is
// said again as it is: this run may not even have built the image.
func (a *Attest) attest(ctx context.Context, repository *registry.Repository, image *registry.Image, key *signature.Key, trusted []signature.PublicKey) error {
	subjects, err := subjectsOf(image)
	if err != nil {
		return err
	}
	there, err := Statements(ctx, repository, a.Digest, key.Public())
	if err != nil {
		return err
	}
	var before []Statement
	for _, other := range trusted {
		attested, err := Statements(ctx, repository, a.Digest, other)
		if err != nil {
			return err
		}
		before = append(before, attested...)
	}
	var missing []registry.Attachment
	for _, made := range []struct {
		predicate string
		make      func() (any, error)
	}{
		{BillOfMaterials, func() (any, error) { return sbom.Of(image) }},
		{Provenance, func() (any, error) { return a.Build.provenance(thisRun()), nil }},
	} {
		if find(there, made.predicate) != nil {
			continue
		}
		text, err := predicateOf(find(before, made.predicate), made.make)
		if err != nil {
			return err
		}
		statement := Statement{Type: statementType, Subject: subjects, PredicateType: made.predicate, Predicate: text}
		attachment, err := statement.sign(ctx, key)
		if err != nil {
			return err
		}
		missing = append(missing, attachment)
	}
	if len(missing) == 0 {
		return nil
	}
	// All at once: some registries take a tag once only.
	return repository.Attach(ctx, a.Digest, registry.Attestations, missing...)
}

// predicateOf is what a statement says, or else what is made.
func predicateOf(said *Statement, made func() (any, error)) (json.RawMessage, error) {
	if said != nil {
		return said.Predicate, nil
	}
	predicate, err := made()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("encoding what is attested: %w", err)
	}
	return text, nil
}

// sign returns the image's signature by a key. It is made if there is none.
func (a *Attest) sign(ctx context.Context, repository *registry.Repository, key *signature.Key) (signature.Image, error) {
	there, err := repository.Signatures(ctx, a.Digest)
	if err != nil {
		return signature.Image{}, err
	}
	found, err := signature.Find(ctx, there, a.Digest, key.Public())
	if !errors.Is(err, signature.ErrNone) {
		return found, err
	}
	made, err := signature.Sign(ctx, key, a.Repository, a.Digest)
	if err != nil {
		return signature.Image{}, err
	}
	return made, repository.Sign(ctx, a.Digest, made)
}
