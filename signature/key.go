package signature

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// newKeyCommand makes a key that ParseKey takes.
const newKeyCommand = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"

// Key is a private key.
type Key struct{ private *ecdsa.PrivateKey }

// ParseKey reads a P-256 private key in PEM format, PKCS #8 or SEC 1, without a
// passphrase. An error does not quote what was given.
func ParseKey(text string) (*Key, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it is not a private key in PEM format; make one with: " + newKeyCommand)
	}
	var parsed any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it is of the type %q instead of an unencrypted PRIVATE KEY; make one with: %s", block.Type, newKeyCommand)
	}
	// The parsers' errors are left out: they can quote what was given.
	private, isECDSA := parsed.(*ecdsa.PrivateKey)
	if err != nil || !isECDSA || private.Curve != elliptic.P256() {
		return nil, errors.New("it is not a private key of the curve P-256; make one with: " + newKeyCommand)
	}
	return &Key{private}, nil
}

// Public is the key's public half.
func (k *Key) Public() PublicKey { return PublicKey{&k.private.PublicKey} }

// Sign returns the signature of data, in ASN.1 DER. The context is not used; it
// is there for dsse.Signer.
func (k *Key) Sign(_ context.Context, data []byte) ([]byte, error) {
	digest := sha256.Sum256(data)
	signed, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return signed, nil
}

// KeyID is empty, as cosign leaves it.
func (k *Key) KeyID() (string, error) { return "", nil }
