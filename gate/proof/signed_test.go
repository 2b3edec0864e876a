package proof

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/internal/testregistry"
	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/signature"
)

func TestSigned(t *testing.T) {
	repository := testregistry.New(t)
	image := Image{Repository: repository, Digest: testregistry.Push(t, repository, "0.6.19", indexOf(t, map[string]int64{"linux/amd64": 1000}))}
	key, _ := testkey.New(t)
	stranger, _ := testkey.New(t)
	next, _ := testkey.New(t)
	opened, err := registry.Open(repository, nil)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(by *signature.Key, digest string) {
		t.Helper()
		signed, err := signature.Sign(t.Context(), by, repository, digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := opened.Sign(t.Context(), image.Digest, signed); err != nil {
			t.Fatal(err)
		}
	}
	trusted := Signed{Image: image, Keys: []string{next.Public().String(), key.Public().String()}}

	_, err = trusted.Run(t.Context())
	wantError(t, err, repository+"@"+image.Digest+" may not be deployed", "it has 0 signatures", "clawft:image.publicKeys")

	sign(stranger, image.Digest)
	// A good signature, but of something else, that was moved here.
	sign(key, "sha256:1111111111111111111111111111111111111111111111111111111111111111")
	_, err = trusted.Run(t.Context())
	wantError(t, err, "it has 2 signatures", "number 1: it is by none of the 2 keys", "number 2: it is a signature of another image, sha256:1111")

	sign(key, image.Digest)
	text, err := trusted.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var found signature.Proof
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found.Keys, trusted.Keys) {
		t.Errorf("the keys are %q, want %q", found.Keys, trusted.Keys)
	}
	if err := found.Verify(t.Context(), image.Digest, key.Public()); err != nil {
		t.Errorf("what it found is not valid: %v", err)
	}

	_, err = (&Signed{Image: image, Keys: []string{"ssh-ed25519 AAAA"}}).Run(t.Context())
	wantError(t, err, "clawft:image.publicKeys", "not a public key in PEM format")
}
