package components

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/gate/proof"
	"github.com/clawft/infra/signature"
)

// SignatureArgs says which signature an image has to have.
type SignatureArgs struct {
	// Repository is registry/path in lower case, without a tag.
	Repository string
	// Digest of the image's index, sha256:…. What is built here comes from Gates:
	// what is signed is proven.
	Digest pulumi.StringInput
	// Sign is nil where the image has to be signed already.
	Sign *SignArgs
	// Keys are the public keys that the signature may be by, in PEM format. With
	// Sign it can be left out: then it is the key that signs.
	Keys []string
	// Credentials can read the repository, and write to it with Sign. Nil where
	// this machine is logged in already, or the registry is read anonymously.
	Credentials *RegistryCredentials
}

// SignArgs says how an image is signed, and what is attested of it.
type SignArgs struct {
	// PrivateKey is a P-256 private key in PEM format. Nil generates one that
	// lives in the stack's state, encrypted.
	PrivateKey pulumi.StringInput
	// Build is what the image was built from.
	Build attest.Build
}

// Signature is an image that is signed: who takes the digest from here gets it
// only then. With Sign, what the image is made of and what it was built from are
// attested as well. What is attached to an image stays when this is deleted, as
// the image itself does. A preview signs nothing and asks nobody.
type Signature struct {
	pulumi.ResourceState

	// Digest is the digest of the image.
	Digest pulumi.StringOutput
	// Ref is repository@digest.
	Ref pulumi.StringOutput
	// Proof is a signature.Proof as JSON: what a host is given to check.
	Proof pulumi.StringOutput
	// Keys are the public keys that the signature may be by, in PEM format.
	Keys pulumi.StringArrayOutput
}

// NewSignature registers the signature.
func NewSignature(ctx *pulumi.Context, name string, args *SignatureArgs, opts ...pulumi.ResourceOption) (*Signature, error) {
	if args.Sign == nil && len(args.Keys) == 0 {
		return nil, errors.New("a signature needs a key: to sign with (SignatureArgs.Sign), or to verify with (SignatureArgs.Keys)")
	}
	signed := &Signature{}
	if err := ctx.RegisterComponentResource("clawft:index:Signature", name, signed, opts...); err != nil {
		return nil, err
	}
	gate, document, err := args.gate(ctx, name, signed)
	if err != nil {
		return nil, err
	}
	// Public, although what the gate reads is secret.
	signed.Proof, err = runGate(ctx, name, gate, document, signed)
	if err != nil {
		return nil, err
	}
	signed.Digest = proven(args.Digest.ToStringOutput(), signed.Proof)
	signed.Ref = pulumi.Sprintf("%s@%s", args.Repository, signed.Digest)
	signed.Keys = signed.Proof.ApplyT(func(text string) ([]string, error) {
		var proof signature.Proof
		if err := json.Unmarshal([]byte(text), &proof); err != nil {
			return nil, fmt.Errorf("reading the signature: %w", err)
		}
		return proof.Keys, nil
	}).(pulumi.StringArrayOutput)
	return signed, ctx.RegisterResourceOutputs(signed, pulumi.Map{
		"digest": signed.Digest, "ref": signed.Ref, "keys": signed.Keys,
	})
}

// gate is the command that signs or verifies, and what it reads.
func (args *SignatureArgs) gate(ctx *pulumi.Context, name string, parent pulumi.Resource) (string, pulumi.StringOutput, error) {
	if args.Sign == nil {
		return "signed", gateDocument(args.Repository, args.Digest, args.Credentials, nil, func(image proof.Image, _ string) any {
			return proof.Signed{Image: image, Keys: args.Keys}
		}), nil
	}
	private := args.Sign.PrivateKey
	if private == nil {
		key, err := tls.NewPrivateKey(ctx, name+"-signing-key", &tls.PrivateKeyArgs{
			Algorithm: pulumi.String("ECDSA"), EcdsaCurve: pulumi.String("P256"),
		}, pulumi.Parent(parent))
		if err != nil {
			return "", pulumi.StringOutput{}, fmt.Errorf("registering the signing key: %w", err)
		}
		private = key.PrivateKeyPem
	}
	return "attest", gateDocument(args.Repository, args.Digest, args.Credentials, pulumi.ToSecret(private.ToStringOutput()).(pulumi.StringOutput),
		func(image proof.Image, key string) any {
			return attest.Attest{Image: image, Key: key, Keys: args.Keys, Build: args.Sign.Build}
		}), nil
}
