package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/document"
	"github.com/clawft/infra/host/release"
	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/signature"
)

var _ deploy.Verifier = File("")

const (
	digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	other  = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
)

func install(t *testing.T, p document.Policy) File {
	t.Helper()
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(text))
}

func write(t *testing.T, text string) File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return File(path)
}

// The host has the last word about a signature, whoever deploys what.
func TestVerify(t *testing.T) {
	key, _ := testkey.New(t)
	stranger, _ := testkey.New(t)
	sign := func(by *signature.Key, digest string) *signature.Image {
		t.Helper()
		signed, err := signature.Sign(t.Context(), by, "ghcr.io/clawft/clawft", digest)
		if err != nil {
			t.Fatal(err)
		}
		return &signed
	}
	payload := func(text string) *signature.Image {
		t.Helper()
		signed, err := key.Sign(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return &signature.Image{Payload: []byte(text), Signature: signed}
	}
	moved := sign(key, other)
	relabelled := &signature.Image{Payload: []byte(strings.ReplaceAll(string(moved.Payload), other, digest)), Signature: moved.Signature}
	trusted := document.Policy{Signers: []string{key.Public().String()}}
	rotating := document.Policy{Signers: []string{stranger.Public().String(), key.Public().String()}}
	for _, c := range []struct {
		name   string
		policy document.Policy
		signed *signature.Image
		want   string
	}{
		{"none is demanded", document.Policy{}, nil, ""},
		{"none is demanded, one is there", document.Policy{}, sign(stranger, digest), ""},
		{"by the key", trusted, sign(key, digest), ""},
		{"by the old key while keys are exchanged", rotating, sign(stranger, digest), ""},
		{"by the new key while keys are exchanged", rotating, sign(key, digest), ""},
		{"by the old key afterwards", trusted, sign(stranger, digest), "by none of the 1 keys that are trusted; a new key is added to clawft:image.publicKeys"},
		{"none", trusted, nil, "the image is not signed, and this host demands a signature"},
		{"an empty one", trusted, &signature.Image{}, "the image is not signed, and this host demands a signature"},
		{"for another image", trusted, moved, "of another image, " + other},
		{"changed", trusted, relabelled, "by none of the 1 keys"},
		{"of another statement", trusted, payload(`{"critical":{"type":"atomic container signature","image":{"docker-manifest-digest":"` + digest + `"}}}`), `a signature of "atomic container signature"`},
		{"of a text", trusted, payload("text"), "reading what is signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := install(t, c.policy).Verify(t.Context(), release.Release{Image: "ghcr.io/clawft/clawft@" + digest, Signature: c.signed})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Where nobody says who may sign, nothing passes.
func TestNoPolicyDemandsMost(t *testing.T) {
	key, _ := testkey.New(t)
	signed, err := signature.Sign(t.Context(), key, "ghcr.io/clawft/clawft", digest)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := document.Policy{Signers: []string{key.Public().String()}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	missing := File(filepath.Join(t.TempDir(), "policy.json"))
	writable := install(t, document.Policy{})
	if err := os.Chmod(string(writable), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file File
		want string
	}{
		"missing":                 {missing, "is missing"},
		"cut short":               {write(t, string(whole[:len(whole)/2])), "pulumi up writes it anew"},
		"empty":                   {write(t, ""), "pulumi up writes it anew"},
		"no signers":              {write(t, "{}"), "names no signers"},
		"signers that are none":   {write(t, `{"signers": ["AAAA"]}`), "number 1"},
		"a demand of another age": {write(t, `{"signers": [], "notary": true}`), "unknown field"},
		"written by anybody":      {writable, "may have been written by others than root"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.file.Verify(t.Context(), release.Release{Image: "ghcr.io/clawft/clawft@" + digest, Signature: &signed})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// A release has no field that a policy could be in: one that tries is no release.
func TestReleasesBringNoPolicy(t *testing.T) {
	key, _ := testkey.New(t)
	for _, field := range []string{
		`"policy": {"signers": []}`, `"signers": []`, `"keys": []`,
		`"signature": {"keys": ["` + strings.ReplaceAll(key.Public().String(), "\n", `\n`) + `"], "payload": "e30=", "signature": "AA=="}`,
	} {
		document := `{` + field + `}`
		if !json.Valid([]byte(document)) {
			t.Fatalf("%s is no JSON", document)
		}
		if _, err := release.Decode(strings.NewReader(document)); err == nil || !strings.Contains(err.Error(), "unknown field") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestEncode(t *testing.T) {
	if _, err := (document.Policy{Signers: []string{"ssh-ed25519 AAAA"}}).Encode(); err == nil || !strings.Contains(err.Error(), "policy.signers: number 1") {
		t.Errorf("got %v", err)
	}
	key, _ := testkey.New(t)
	want := document.Policy{Signers: []string{key.Public().String()}}
	got, err := install(t, want).Read()
	if err != nil || len(got.Signers) != 1 || got.Signers[0] != want.Signers[0] {
		t.Errorf("got %v, %v", got, err)
	}
}
