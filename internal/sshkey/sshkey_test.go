package sshkey

import (
	"crypto"
	"crypto/dsa" //nolint:staticcheck // a key that has to be refused
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func generated[K any](t *testing.T) func(key K, err error) K {
	return func(key K, err error) K {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
}

// line is a public key as a host's file has it, with a comment.
func line(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " root@host"
}

func publicOf(t *testing.T, private crypto.Signer) ssh.PublicKey {
	t.Helper()
	return generated[ssh.PublicKey](t)(ssh.NewPublicKey(private.Public()))
}

// hardware is the public key of a security key, as OpenSSH writes it.
func hardware(t *testing.T, kind string, fields ...any) ssh.PublicKey {
	t.Helper()
	blob := ssh.Marshal(struct{ Kind string }{kind})
	for _, field := range fields {
		blob = append(blob, ssh.Marshal(field)...)
	}
	return generated[ssh.PublicKey](t)(ssh.ParsePublicKey(blob))
}

// text is a field of a key.
type text struct{ Value string }

func TestHostKeys(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		return generated[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(c, rand.Reader))
	}
	modulus := generated[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 3072))
	p256 := curve(elliptic.P256())
	good := publicOf(t, edwards)
	keys := map[string]ssh.PublicKey{
		ssh.KeyAlgoED25519:     good,
		ssh.KeyAlgoECDSA256:    publicOf(t, p256),
		ssh.KeyAlgoECDSA384:    publicOf(t, curve(elliptic.P384())),
		ssh.KeyAlgoECDSA521:    publicOf(t, curve(elliptic.P521())),
		ssh.KeyAlgoRSA:         publicOf(t, modulus),
		ssh.InsecureKeyAlgoDSA: publicOf(t, dsaSigner{oldKey(t)}), //nolint:staticcheck // a key that has to be refused
		ssh.KeyAlgoSKED25519: hardware(t, ssh.KeyAlgoSKED25519,
			text{string(edwards.Public().(ed25519.PublicKey))}, text{"ssh:"}),
		ssh.KeyAlgoSKECDSA256: hardware(t, ssh.KeyAlgoSKECDSA256,
			text{"nistp256"}, text{string(generated[[]byte](t)(p256.PublicKey.Bytes()))}, text{"ssh:"}),
	}
	authority := generated[ssh.Signer](t)(ssh.NewSignerFromKey(edwards))
	for _, key := range maps.Clone(keys) {
		certificate := &ssh.Certificate{Key: key, CertType: ssh.HostCert, ValidBefore: ssh.CertTimeInfinity}
		if err := certificate.SignCert(rand.Reader, authority); err != nil {
			t.Fatal(err)
		}
		keys[certificate.Type()] = certificate
	}

	// No type of key that the client knows is left to chance.
	known := slices.Concat(ssh.SupportedAlgorithms().HostKeys, ssh.InsecureAlgorithms().HostKeys,
		ssh.SupportedAlgorithms().PublicKeyAuths, ssh.InsecureAlgorithms().PublicKeyAuths)
	for _, algorithm := range known {
		if _, found := keys[algorithm]; !found && !strings.HasPrefix(algorithm, "rsa-sha2-") {
			t.Errorf("nothing here tries a key of type %s", algorithm)
		}
	}
	for kind, key := range keys {
		got, refused := Host(line(key))
		if slices.Contains(connecting, kind) {
			if refused != nil || got+" root@host" != line(key) {
				t.Errorf("%s: got %q, %v; want the key without its comment", kind, got, refused)
			}
		} else if refused == nil || refused.Given == "" || !strings.Contains(refused.Want, "/etc/ssh/ssh_host_ed25519_key.pub") {
			t.Errorf("%s: got %q, %v; want a refusal that says which key is right", kind, got, refused)
		}
	}

	bare := strings.TrimSuffix(line(good), " root@host")
	other := line(keys[ssh.KeyAlgoECDSA256])
	one := "one of them, " + hostExample
	for _, c := range []struct {
		name, given string
		want        Refusal
	}{
		{"a name in front", "example.org,203.0.113.7 " + bare, Refusal{"", "the key without what stands in front, starting with ssh-ed25519"}},
		{"a hashed name in front", "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= " + bare, Refusal{"", "the key without what stands in front, starting with ssh-ed25519"}},
		{"options in front", `no-pty,from="10.0.0.0/8" ` + bare, Refusal{"", "the key without what stands in front, starting with ssh-ed25519"}},
		{"an authority", "@cert-authority *.example.org " + bare, Refusal{"a line of known_hosts with @cert-authority", hostRemedy}},
		{"all that ssh-keyscan says", "# h:22 SSH-2.0-OpenSSH_9.2\nh " + bare + "\n# h:22 SSH-2.0-OpenSSH_9.2\r\nh " + other + "\n", Refusal{"2 lines", one}},
		{"two keys", bare + "\n" + other, Refusal{"2 lines", one}},
		{"a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary", Refusal{"a private key", "an SSH public key, " + hostExample}},
		{"a fingerprint", "SHA256:abc", Refusal{"", "an SSH public key, " + hostExample}},
		{"the base64 alone", strings.Fields(bare)[1], Refusal{"", "an SSH public key, " + hostExample}},
		{"cut short", bare[:40], Refusal{"", "an SSH public key, " + hostExample}},
	} {
		if _, refused := Host(c.given); refused == nil || *refused != c.want {
			t.Errorf("%s: got  %+v\nwant %+v", c.name, refused, c.want)
		}
	}
	for name, given := range map[string]string{"a final line end": bare + "\n", "Windows' line end": bare + "\r\n", "a comment line": "# h:22 SSH-2.0\n" + bare} {
		if got, refused := Host(given); refused != nil || got != bare {
			t.Errorf("%s: got %q, %v; want %q", name, got, refused, bare)
		}
	}
}

func TestLoginKeys(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	openssh := func(key crypto.PrivateKey) string {
		return string(pem.EncodeToMemory(generated[*pem.Block](t)(ssh.MarshalPrivateKey(key, ""))))
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8 := func(key any) string {
		return block("PRIVATE KEY", generated[[]byte](t)(x509.MarshalPKCS8PrivateKey(key)))
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		return generated[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(c, rand.Reader))
	}
	ec := func(c elliptic.Curve) string {
		return block("EC PRIVATE KEY", generated[[]byte](t)(x509.MarshalECPrivateKey(curve(c))))
	}
	modulus := generated[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	small := generated[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))
	good := openssh(edwards)

	for name, given := range map[string]string{
		"Ed25519": good, "Ed25519 in PKCS#8": pkcs8(edwards),
		"RSA": openssh(modulus), "RSA in PKCS#1": block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(modulus)), "RSA in PKCS#8": pkcs8(modulus),
		"ECDSA 256": ec(elliptic.P256()), "ECDSA 384": openssh(curve(elliptic.P384())), "ECDSA 521": pkcs8(curve(elliptic.P521())),
	} {
		if got, refused := Login(given); refused != nil || got != given {
			t.Errorf("%s: got %d bytes, %v; want it as it is", name, len(got), refused)
		}
	}
	if got, refused := Login("\r\n" + strings.ReplaceAll(good, "\n", "\r\n")); refused != nil || got != good {
		t.Errorf("Windows' line ends: got %q, %v", got, refused)
	}

	locked := generated[*pem.Block](t)(ssh.MarshalPrivateKeyWithPassphrase(edwards, "", []byte("x")))
	const passphrase = "a private key with a passphrase"
	const right = "a private key in OpenSSH or PEM format"
	old := oldKey(t)
	for _, c := range []struct{ name, text, given, want string }{
		{"passphrase", string(pem.EncodeToMemory(locked)), passphrase, "one without"},
		{"passphrase, PKCS#8", block("ENCRYPTED PRIVATE KEY", []byte{1}), passphrase, "one without"},
		{"passphrase, PEM", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----", passphrase, "one without"},
		{"DSA", block("DSA PRIVATE KEY", generated[[]byte](t)(asn1.Marshal(struct {
			V             int
			P, Q, G, Y, X *big.Int
		}{0, old.P, old.Q, old.G, old.Y, old.X}))), "a DSA key, which OpenSSH refuses", loginRemedy},
		{"RSA of 1024 bits", openssh(small), "an RSA key of 1024 bits", "RSA of at least 2048 bits"},
		{"a curve that SSH lacks", ec(elliptic.P224()), "a private key of a kind that SSH does not support", loginRemedy},
		{"a security key", block("OPENSSH PRIVATE KEY", []byte("openssh-key-v1\x00sk-ssh-ed25519@openssh.com")), "the handle of a security key, which has to be touched for each login", loginRemedy},
		{"PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "a key in PuTTY's format", "puttygen KEY.ppk -O private-openssh"},
		{"public", line(publicOf(t, edwards)), "a public key", "the private key"},
		{"public, SSH2", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "a public key", "the private key"},
		{"public, PEM", block("PUBLIC KEY", []byte{1}), "a public key", "the private key"},
		{"certificate, PEM", block("CERTIFICATE", []byte{1}), "a certificate", "the private key"},
		{"line ends written out", strings.ReplaceAll(strings.TrimSpace(good), "\n", `\n`), `a private key with \n in place of line ends`, "the file as it is"},
		{"cut short", good[:100], "a private key that is cut short or damaged", "the whole file"},
		{"a path", "~/.ssh/id_ed25519", "17 bytes that are no private key", right},
	} {
		if _, refused := Login(c.text); refused == nil || refused.Given != c.given || !strings.Contains(refused.Want, c.want) {
			t.Errorf("%s: got  %+v\nwant %s; %s", c.name, refused, c.given, c.want)
		}
	}
}

// Nothing of a key that is refused is shown.
func TestPrivateKeysAreNotShown(t *testing.T) {
	for _, given := range []string{"-----BEGIN OPENSSH PRIVATE KEY-----\ncanary", "PuTTY-User-Key-File-2: canary", "canary"} {
		if _, refused := Login(given); refused == nil || strings.Contains(fmt.Sprint(*refused), "canary") {
			t.Errorf("%q: got %+v", given, refused)
		}
	}
}

// oldKey is a DSA key of the one size that SSH knows.
func oldKey(t *testing.T) *dsa.PrivateKey {
	t.Helper()
	key := &dsa.PrivateKey{}
	if err := dsa.GenerateParameters(&key.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(key, rand.Reader); err != nil {
		t.Fatal(err)
	}
	return key
}

type dsaSigner struct{ *dsa.PrivateKey }

func (k dsaSigner) Public() crypto.PublicKey { return &k.PublicKey }
func (k dsaSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("nothing here is signed")
}
