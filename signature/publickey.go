package signature

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// PublicKey says whether its private key has signed something.
type PublicKey struct{ key *ecdsa.PublicKey }

// ParsePublicKey reads a P-256 public key in PEM format, as String writes it.
func ParsePublicKey(text string) (PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		return PublicKey{}, errors.New("it is not a public key in PEM format, beginning with -----BEGIN PUBLIC KEY-----")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, fmt.Errorf("reading the public key: %w", err)
	}
	key, isECDSA := parsed.(*ecdsa.PublicKey)
	if !isECDSA || key.Curve != elliptic.P256() {
		return PublicKey{}, errors.New("it is not a key of the curve P-256")
	}
	return PublicKey{key}, nil
}

// ParsePublicKeys reads several.
func ParsePublicKeys(texts []string) ([]PublicKey, error) {
	var keys []PublicKey
	for n, text := range texts {
		key, err := ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("number %d: %w", n+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// String is the key in PEM format.
func (k PublicKey) String() string {
	// A key of a curve that is known is always encoded.
	der, _ := x509.MarshalPKIXPublicKey(k.key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Equal is true of the same key.
func (k PublicKey) Equal(other PublicKey) bool { return k.key.Equal(other.key) }

// Verify returns an error unless signed is this key's signature of data. The
// context is not used; it is there for dsse.Verifier.
func (k PublicKey) Verify(_ context.Context, data, signed []byte) error {
	digest := sha256.Sum256(data)
	if !ecdsa.VerifyASN1(k.key, digest[:], signed) {
		return errors.New("the signature is not by this key")
	}
	return nil
}

// KeyID is empty, as cosign leaves it.
func (k PublicKey) KeyID() (string, error) { return "", nil }

// Public is the key as Go's own packages know it.
func (k PublicKey) Public() crypto.PublicKey { return k.key }
