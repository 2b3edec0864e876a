package signature

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	other  = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
)

func newKey(t *testing.T) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Key{private}
}

func encode(t *testing.T, kind string, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if kind == "EC PRIVATE KEY" {
		der, err = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestParseKey(t *testing.T) {
	key := newKey(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := encode(t, "PRIVATE KEY", key.private)
	for _, test := range []struct{ name, text, want string }{
		{"PKCS #8", pkcs8, ""},
		{"SEC 1", encode(t, "EC PRIVATE KEY", key.private), ""},
		{"nothing", "", "not a private key in PEM format"},
		{"a public key", key.Public().String(), `of the type "PUBLIC KEY"`},
		{"an encrypted key", strings.ReplaceAll(pkcs8, "PRIVATE", "ENCRYPTED SIGSTORE PRIVATE"), `of the type "ENCRYPTED SIGSTORE PRIVATE KEY"`},
		{"another kind of key", encode(t, "PRIVATE KEY", edwards), "not a private key of the curve P-256"},
		{"another curve", encode(t, "PRIVATE KEY", p384), "not a private key of the curve P-256"},
		{"half of a key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("half")})), "not a private key of the curve P-256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parsed, err := ParseKey(test.text)
			if test.want == "" {
				if err != nil || !parsed.Public().Equal(key.Public()) {
					t.Errorf("got another key, or %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), newKeyCommand) {
				t.Errorf("got %v, want %q and how to make a key", err, test.want)
			}
		})
	}
}

func TestPublicKeysAreReadAsTheyAreWritten(t *testing.T) {
	key := newKey(t).Public()
	parsed, err := ParsePublicKey(key.String())
	if err != nil || !parsed.Equal(key) {
		t.Errorf("got %v, %v", parsed, err)
	}
	for _, text := range []string{"", "ssh-ed25519 AAAA", encode(t, "PRIVATE KEY", newKey(t).private)} {
		if _, err := ParsePublicKey(text); err == nil {
			t.Errorf("%q was taken for a public key", text)
		}
	}
}

func TestVerify(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	signed, err := Sign(t.Context(), key, "ghcr.io/clawft/clawft", digest)
	if err != nil {
		t.Fatal(err)
	}
	changed := Image{Payload: []byte(strings.Replace(string(signed.Payload), digest, other, 1)), Signature: signed.Signature}
	statement := Image{Payload: []byte(`{"critical":{"image":{"docker-manifest-digest":"` + digest + `"},"type":"atomic"}}`)}
	if statement.Signature, err = key.Sign(t.Context(), statement.Payload); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, digest, want string
		image              Image
		keys               []PublicKey
	}{
		{"by the key", digest, "", signed, []PublicKey{key.Public()}},
		{"by one of the keys", digest, "", signed, []PublicKey{stranger.Public(), key.Public()}},
		{"by a stranger", digest, "by none of the 1 keys", signed, []PublicKey{stranger.Public()}},
		{"no key", digest, "by none of the 0 keys", signed, nil},
		{"no signature", digest, "by none of the 1 keys", Image{}, []PublicKey{key.Public()}},
		{"of another image", other, "of another image, " + digest, signed, []PublicKey{key.Public()}},
		{"changed since", other, "by none of the 1 keys", changed, []PublicKey{key.Public()}},
		{"of something else", digest, `a signature of "atomic"`, statement, []PublicKey{key.Public()}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.image.Verify(t.Context(), test.digest, test.keys...)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	var signatures []Image
	for _, by := range []*Key{stranger, key} {
		signed, err := Sign(t.Context(), by, "ghcr.io/clawft/clawft", digest)
		if err != nil {
			t.Fatal(err)
		}
		signatures = append(signatures, signed)
	}
	found, err := Find(t.Context(), signatures, digest, key.Public())
	if err != nil || string(found.Signature) != string(signatures[1].Signature) {
		t.Errorf("found %v, %v; want the second one", found, err)
	}
	for _, of := range [][]Image{nil, signatures[:1]} {
		if _, err := Find(t.Context(), of, digest, key.Public()); !errors.Is(err, ErrNone) {
			t.Errorf("got %v, want %v", err, ErrNone)
		}
	}
}

// A host verifies with OpenSSL.
func TestOpenSSLAgrees(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The command that errors recommend makes a key that is taken.
	made, err := exec.Command("sh", "-c", newKeyCommand).Output()
	if err != nil {
		t.Fatalf("%s: %v", newKeyCommand, err)
	}
	key, err := ParseKey(string(made))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := Sign(t.Context(), key, "ghcr.io/clawft/clawft", digest)
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("openssl", "dgst", "-sha256", "-verify", write("key", []byte(key.Public().String())),
		"-signature", write("signature", signed.Signature), write("payload", signed.Payload)).CombinedOutput()
	if err != nil {
		t.Errorf("OpenSSL refuses the signature: %v: %s", err, output)
	}
}
