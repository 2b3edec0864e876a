// Package testkey makes keys for the tests of what signs and verifies.
package testkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/clawft/infra/signature"
)

// New returns a key, and the same as its owner would configure it, in PEM format.
func New(t *testing.T) (*signature.Key, string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	key, err := signature.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}
