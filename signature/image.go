package signature

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNone says that an image does not have the signature that it should.
var ErrNone = errors.New("it is not signed by a key that is trusted")

// imageType marks a payload as a statement about an image.
const imageType = "cosign container image signature"

// Image is a signature of an image.
type Image struct {
	// Payload is what is signed, byte for byte: a JSON document that names the
	// image. It is base64 in JSON.
	Payload []byte `json:"payload"`
	// Signature is in ASN.1 DER, and base64 in JSON.
	Signature []byte `json:"signature"`
}

// payload is the format "simple signing".
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// Sign signs the image of a digest, sha256:…. The repository is what the image
// was called when it was signed; a copy elsewhere is signed all the same.
func Sign(ctx context.Context, key *Key, repository, digest string) (Image, error) {
	var about payload
	about.Critical.Identity.Reference = repository
	about.Critical.Image.Digest = digest
	about.Critical.Type = imageType
	text, err := json.Marshal(about)
	if err != nil {
		return Image{}, fmt.Errorf("encoding what is signed: %w", err)
	}
	signed, err := key.Sign(ctx, text)
	if err != nil {
		return Image{}, err
	}
	return Image{Payload: text, Signature: signed}, nil
}

// Verify returns an error unless this is a signature of the image of a digest by
// one of the keys.
func (i Image) Verify(ctx context.Context, digest string, keys ...PublicKey) error {
	if !slices.ContainsFunc(keys, func(key PublicKey) bool { return key.Verify(ctx, i.Payload, i.Signature) == nil }) {
		return fmt.Errorf("it is by none of the %d keys that are trusted", len(keys))
	}
	// Only now: what is not signed is not worth reading.
	var about payload
	if err := json.Unmarshal(i.Payload, &about); err != nil {
		return fmt.Errorf("reading what is signed: %w", err)
	}
	if about.Critical.Type != imageType {
		return fmt.Errorf("it is a signature of %q, not of an image", about.Critical.Type)
	}
	if about.Critical.Image.Digest != digest {
		return fmt.Errorf("it is a signature of another image, %s", about.Critical.Image.Digest)
	}
	return nil
}

// Find returns the first of some signatures that is one of the image of a digest
// by one of the keys. Without any, the error is an ErrNone that says what is
// wrong with each.
func Find(ctx context.Context, signatures []Image, digest string, keys ...PublicKey) (Image, error) {
	problems := []string{fmt.Sprintf("it has %d signatures", len(signatures))}
	for n, candidate := range signatures {
		err := candidate.Verify(ctx, digest, keys...)
		if err == nil {
			return candidate, nil
		}
		problems = append(problems, fmt.Sprintf("number %d: %v", n+1, err))
	}
	return Image{}, fmt.Errorf("%w (%s)", ErrNone, strings.Join(problems, "; "))
}
