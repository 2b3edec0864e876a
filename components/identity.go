package components

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/crypto/ssh"
)

// IdentityArgs holds the SSH key with which a stack logs in to its hosts.
type IdentityArgs struct {
	// PrivateKey is an unencrypted private key in OpenSSH or PEM format. Nil
	// generates one that lives in the stack's state, encrypted.
	PrivateKey pulumi.StringInput
}

// Identity is the SSH key pair with which a stack logs in to its hosts.
type Identity struct {
	pulumi.ResourceState

	// PrivateKey is secret.
	PrivateKey pulumi.StringOutput
	// PublicKey is in OpenSSH format, without a comment.
	PublicKey pulumi.StringOutput
}

// NewIdentity registers the key pair.
func NewIdentity(ctx *pulumi.Context, name string, args *IdentityArgs, opts ...pulumi.ResourceOption) (*Identity, error) {
	identity := &Identity{}
	if err := ctx.RegisterComponentResource("clawft:index:Identity", name, identity, opts...); err != nil {
		return nil, err
	}
	private := args.PrivateKey
	if private == nil {
		key, err := tls.NewPrivateKey(ctx, name+"-key", &tls.PrivateKeyArgs{
			Algorithm: pulumi.String("ED25519"),
		}, pulumi.Parent(identity))
		if err != nil {
			return nil, fmt.Errorf("registering the SSH key: %w", err)
		}
		private = key.PrivateKeyOpenssh
	}
	identity.PrivateKey = pulumi.ToSecret(private.ToStringOutput()).(pulumi.StringOutput)
	// Public by nature; without this it would stay hidden in every diff.
	identity.PublicKey = pulumi.Unsecret(identity.PrivateKey.ApplyT(publicKeyOf)).(pulumi.StringOutput)
	return identity, ctx.RegisterResourceOutputs(identity, pulumi.Map{"publicKey": identity.PublicKey})
}

// publicKeyOf derives the OpenSSH public key of a private key.
func publicKeyOf(private string) (string, error) {
	signer, err := ssh.ParsePrivateKey([]byte(private))
	if err != nil {
		// The parser's error is left out: it can quote what was given.
		return "", errors.New("reading the SSH private key: it is not an unencrypted private key in OpenSSH or PEM format")
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}
