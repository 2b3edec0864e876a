package tls

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the real provider's IDs are SHA-1 sums
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/lab/provider"
)

func publicKey() provider.Function {
	return provider.Function{
		Token:  "tls:index/getPublicKey:getPublicKey",
		Args:   tls.GetPublicKeyArgs{},
		Result: tls.GetPublicKeyResult{},
		Secret: []string{"privateKeyOpenssh", "privateKeyPem"},
		Call: func(_ context.Context, args property.Map) (property.Map, error) {
			inPEM, inSSH := args.Get("privateKeyPem"), args.Get("privateKeyOpenssh")
			if inPEM.IsNull() == inSSH.IsNull() {
				return property.Map{}, errors.New("exactly one of privateKeyPem and privateKeyOpenssh must be given")
			}
			given := inPEM
			if given.IsNull() {
				given = inSSH
			}
			// One parser reads PKCS#1, PKCS#8, SEC 1 and OpenSSH alike. Its errors
			// do not quote the key.
			key, err := ssh.ParseRawPrivateKey([]byte(given.AsString()))
			if err != nil {
				return property.Map{}, fmt.Errorf("parsing the private key: %w", err)
			}
			signer, ok := key.(crypto.Signer)
			if !ok {
				return property.Map{}, fmt.Errorf("keys of type %T are not supported, %s are",
					key, strings.Join(algorithms, ", "))
			}
			id, out, err := encodePublic(signer)
			if err != nil {
				return property.Map{}, fmt.Errorf("encoding the public key: %w", err)
			}
			out["id"] = property.New(id)
			out["algorithm"] = property.New(algorithmOf(signer))
			for name, value := range args.All {
				out[name] = value
			}
			return property.NewMap(out), nil
		},
	}
}

func algorithmOf(key crypto.Signer) string {
	switch key.(type) {
	case *rsa.PrivateKey:
		return "RSA"
	case *ecdsa.PrivateKey:
		return "ECDSA"
	default:
		return "ED25519"
	}
}

// encodePublic also returns the ID, a sum of the public key.
func encodePublic(key crypto.Signer) (id string, outputs map[string]property.Value, err error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", nil, err
	}
	var openssh, md5, sha256 string
	if public, err := ssh.NewPublicKey(key.Public()); err == nil {
		// The line keeps its newline, as the real provider's does.
		openssh = string(ssh.MarshalAuthorizedKey(public))
		md5, sha256 = ssh.FingerprintLegacyMD5(public), ssh.FingerprintSHA256(public)
	}
	sum := sha1.Sum([]byte(strings.TrimSpace(string(der)))) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:]), map[string]property.Value{
		"publicKeyPem":               property.New(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))),
		"publicKeyOpenssh":           property.New(openssh),
		"publicKeyFingerprintMd5":    property.New(md5),
		"publicKeyFingerprintSha256": property.New(sha256),
	}, nil
}
