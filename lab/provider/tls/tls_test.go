package tls_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/lab/provider/tls"
)

const keyURN = resource.URN("urn:pulumi:dev::project::tls:index/privateKey:PrivateKey::host")

type props = map[string]property.Value

func newKey(t *testing.T, inputs props) (id string, outputs property.Map) {
	t.Helper()
	checked, err := tls.New().Check(t.Context(), p.CheckRequest{Urn: keyURN, Inputs: property.NewMap(inputs)})
	require.NoError(t, err)
	require.Empty(t, checked.Failures)
	created, err := tls.New().Create(t.Context(), p.CreateRequest{Urn: keyURN, Properties: checked.Inputs})
	require.NoError(t, err)
	return created.ID, created.Properties
}

func text(m property.Map, name string) string { return m.Get(name).AsString() }

func TestPrivateKey(t *testing.T) {
	tests := map[string]struct {
		inputs        props
		pemType       string
		publicSSH     string
		curve         string
		bits          float64
		opensslParses func(der []byte) (any, error)
	}{
		"ED25519": {
			inputs:  props{"algorithm": property.New("ED25519")},
			pemType: "PRIVATE KEY", publicSSH: "ssh-ed25519 ", curve: "P224", bits: 2048,
			opensslParses: x509.ParsePKCS8PrivateKey,
		},
		"RSA": {
			inputs:  props{"algorithm": property.New("RSA"), "rsaBits": property.New(1024.0)},
			pemType: "RSA PRIVATE KEY", publicSSH: "ssh-rsa ", curve: "P224", bits: 1024,
			opensslParses: func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		},
		"ECDSA": {
			inputs:  props{"algorithm": property.New("ECDSA"), "ecdsaCurve": property.New("P384")},
			pemType: "EC PRIVATE KEY", publicSSH: "ecdsa-sha2-nistp384 ", curve: "P384", bits: 2048,
			opensslParses: func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
		},
		"ECDSA on the default curve, which SSH does not know": {
			inputs:  props{"algorithm": property.New("ECDSA")},
			pemType: "EC PRIVATE KEY", publicSSH: "", curve: "P224", bits: 2048,
			opensslParses: func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			id, key := newKey(t, test.inputs)
			assert.Regexp(t, "^[0-9a-f]{40}$", id)
			assert.Equal(t, test.curve, text(key, "ecdsaCurve"))
			assert.InDelta(t, test.bits, key.Get("rsaBits").AsNumber(), 0)

			block, rest := pem.Decode([]byte(text(key, "privateKeyPem")))
			require.NotNil(t, block)
			assert.Empty(t, rest)
			assert.Equal(t, test.pemType, block.Type)
			private, err := test.opensslParses(block.Bytes)
			require.NoError(t, err)

			block, _ = pem.Decode([]byte(text(key, "privateKeyPemPkcs8")))
			require.NotNil(t, block)
			pkcs8, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			require.NoError(t, err)
			assert.Equal(t, private, pkcs8)

			block, _ = pem.Decode([]byte(text(key, "publicKeyPem")))
			require.NotNil(t, block)
			assert.Equal(t, "PUBLIC KEY", block.Type)

			for _, name := range []string{"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"} {
				assert.True(t, key.Get(name).Secret(), name)
			}
			assert.False(t, key.Get("publicKeyOpenssh").Secret())

			if test.publicSSH == "" {
				for _, name := range []string{"privateKeyOpenssh", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256"} {
					assert.Empty(t, text(key, name), name)
				}
				return
			}
			public := text(key, "publicKeyOpenssh")
			assert.True(t, strings.HasPrefix(public, test.publicSSH), public)
			assert.True(t, strings.HasSuffix(public, "\n"), "the real provider's line has its newline")
			signer, err := ssh.ParsePrivateKey([]byte(text(key, "privateKeyOpenssh")))
			require.NoError(t, err)
			assert.Equal(t, public, string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
			assert.Equal(t, ssh.FingerprintSHA256(signer.PublicKey()), text(key, "publicKeyFingerprintSha256"))
			assert.Equal(t, ssh.FingerprintLegacyMD5(signer.PublicKey()), text(key, "publicKeyFingerprintMd5"))
		})
	}
}

func TestPrivateKeyInputs(t *testing.T) {
	got, err := tls.New().Check(t.Context(), p.CheckRequest{Urn: keyURN, Inputs: property.NewMap(props{
		"algorithm": property.New("DSA"), "ecdsaCurve": property.New("P225"),
	})})
	require.NoError(t, err)
	assert.Equal(t, []p.CheckFailure{
		{Property: "algorithm", Reason: `"DSA" is not one of RSA, ECDSA, ED25519`},
		{Property: "ecdsaCurve", Reason: `"P225" is not one of P224, P256, P384, P521`},
	}, got.Failures)
}

func TestAnyChangeReplacesTheKey(t *testing.T) {
	got, err := tls.New().Diff(t.Context(), p.DiffRequest{
		Urn:       keyURN,
		OldInputs: property.NewMap(props{"algorithm": property.New("ED25519")}),
		Inputs:    property.NewMap(props{"algorithm": property.New("ED25519"), "rsaBits": property.New(4096.0)}),
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]p.PropertyDiff{"rsaBits": {Kind: p.AddReplace, InputDiff: true}}, got.DetailedDiff)
}

func TestGetPublicKey(t *testing.T) {
	invoke := func(args props) (property.Map, error) {
		got, err := tls.New().Invoke(t.Context(), p.InvokeRequest{
			Token: "tls:index/getPublicKey:getPublicKey", Args: property.NewMap(args),
		})
		return got.Return, err
	}
	for _, algorithm := range []string{"ED25519", "RSA", "ECDSA"} {
		inputs := props{"algorithm": property.New(algorithm)}
		if algorithm == "ECDSA" {
			inputs["ecdsaCurve"] = property.New("P256")
		}
		id, key := newKey(t, inputs)
		for _, form := range []string{"privateKeyPem", "privateKeyOpenssh"} {
			t.Run(algorithm+" "+form, func(t *testing.T) {
				got, err := invoke(props{form: property.New(text(key, form))})
				require.NoError(t, err)
				assert.Equal(t, algorithm, text(got, "algorithm"))
				assert.Equal(t, id, text(got, "id"))
				assert.True(t, got.Get(form).Secret())
				for _, name := range []string{"publicKeyOpenssh", "publicKeyPem", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256"} {
					assert.Equal(t, key.Get(name), got.Get(name), name)
				}
			})
		}
	}
	t.Run("both or none", func(t *testing.T) {
		for _, args := range []props{{}, {"privateKeyPem": property.New("a"), "privateKeyOpenssh": property.New("b")}} {
			_, err := invoke(args)
			require.ErrorContains(t, err, "exactly one of privateKeyPem and privateKeyOpenssh must be given")
		}
	})
	t.Run("not a key, and not shown", func(t *testing.T) {
		_, err := invoke(props{"privateKeyPem": property.New("hunter2")})
		require.EqualError(t, err, "invoking tls:index/getPublicKey:getPublicKey: parsing the private key: ssh: no key found")
	})
}
