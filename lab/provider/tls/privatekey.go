package tls

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/lab/provider"
)

// What the real provider fills in, whatever the algorithm.
const (
	defaultCurve   = "P224"
	defaultRSABits = 2048
)

var (
	algorithms = []string{"RSA", "ECDSA", "ED25519"}
	curves     = map[string]elliptic.Curve{
		"P224": elliptic.P224(), "P256": elliptic.P256(), "P384": elliptic.P384(), "P521": elliptic.P521(),
	}
)

// privateKey has no Update: every change makes a new key.
func privateKey() provider.Resource {
	return provider.Resource{
		Token:  "tls:index/privateKey:PrivateKey",
		Args:   tls.PrivateKeyArgs{},
		State:  &tls.PrivateKey{},
		Secret: []string{"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"},
		Check: func(_ context.Context, inputs property.Map) []p.CheckFailure {
			return slices.Concat(
				oneOf("algorithm", inputs, algorithms),
				oneOf("ecdsaCurve", inputs, slices.Sorted(maps.Keys(curves))),
			)
		},
		Create: func(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
			settings := map[string]property.Value{
				"ecdsaCurve": property.New(defaultCurve),
				"rsaBits":    property.New(float64(defaultRSABits)),
			}
			for name := range settings {
				if given, ok := r.Inputs.GetOk(name); ok {
					settings[name] = given
				}
			}
			key, err := generate(r.Inputs.Get("algorithm").AsString(), property.NewMap(settings))
			if err != nil {
				return "", property.Map{}, fmt.Errorf("generating the key: %w", err)
			}
			private, err := encodePrivate(key)
			if err != nil {
				return "", property.Map{}, fmt.Errorf("encoding the private key: %w", err)
			}
			id, public, err := encodePublic(key)
			if err != nil {
				return "", property.Map{}, fmt.Errorf("encoding the public key: %w", err)
			}
			maps.Copy(settings, private)
			maps.Copy(settings, public)
			return id, property.NewMap(settings), nil
		},
	}
}

func oneOf(name string, inputs property.Map, allowed []string) []p.CheckFailure {
	value := inputs.Get(name)
	if !value.IsString() || slices.Contains(allowed, value.AsString()) {
		return nil
	}
	return []p.CheckFailure{{
		Property: name,
		Reason:   fmt.Sprintf("%q is not one of %s", value.AsString(), strings.Join(allowed, ", ")),
	}}
}

func generate(algorithm string, settings property.Map) (crypto.Signer, error) {
	switch algorithm {
	case "RSA":
		return rsa.GenerateKey(rand.Reader, int(settings.Get("rsaBits").AsNumber()))
	case "ECDSA":
		return ecdsa.GenerateKey(curves[settings.Get("ecdsaCurve").AsString()], rand.Reader)
	default:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
}

func encodePrivate(key crypto.Signer) (map[string]property.Value, error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	pkcs8Block := &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}

	block := pkcs8Block // the only PEM form that Ed25519 has
	switch key := key.(type) {
	case *rsa.PrivateKey:
		block = &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, err
		}
		block = &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	}

	openssh := ""
	if hasSSHForm(key) {
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			return nil, err
		}
		openssh = string(pem.EncodeToMemory(block))
	}
	return map[string]property.Value{
		"privateKeyPem":      property.New(string(pem.EncodeToMemory(block))),
		"privateKeyPemPkcs8": property.New(string(pem.EncodeToMemory(pkcs8Block))),
		"privateKeyOpenssh":  property.New(openssh),
	}, nil
}

// hasSSHForm is false for P224, which SSH does not know.
func hasSSHForm(key crypto.Signer) bool {
	_, err := ssh.NewPublicKey(key.Public())
	return err == nil
}
