package components

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/crypto/ssh"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/internal/shell"
)

// IdentityArgs says with which SSH key a stack logs in to its hosts.
type IdentityArgs struct {
	// PrivateKey is an unencrypted private key in OpenSSH or PEM format. Nil takes
	// the generated one.
	PrivateKey pulumi.StringInput
	// Servers is true for a stack that creates servers.
	Servers bool
}

// Identity is the SSH key with which a stack logs in to its hosts, and the one
// that its servers are created with. The latter is generated, lives in the
// stack's state, encrypted, and is nobody else's: a Hetzner project takes each
// key once, and what a server depends on must not change with a login key.
type Identity struct {
	pulumi.ResourceState

	// PrivateKey is secret.
	PrivateKey pulumi.StringOutput
	// PublicKey is in OpenSSH format, without a comment.
	PublicKey pulumi.StringOutput
	// FirstBootKey is the generated public key, in OpenSSH format. It is empty in
	// a stack that has none.
	FirstBootKey pulumi.StringOutput

	admit, leave *pulumi.ResourceHook
}

// NewIdentity registers the generated key, where one is needed.
func NewIdentity(ctx *pulumi.Context, name string, args *IdentityArgs, opts ...pulumi.ResourceOption) (*Identity, error) {
	identity := &Identity{FirstBootKey: pulumi.String("").ToStringOutput()}
	if err := ctx.RegisterComponentResource("clawft:index:Identity", name, identity, opts...); err != nil {
		return nil, err
	}
	private := args.PrivateKey
	if private == nil || args.Servers {
		key, err := tls.NewPrivateKey(ctx, name+"-key", &tls.PrivateKeyArgs{
			Algorithm: pulumi.String("ED25519"),
		}, pulumi.Parent(identity))
		if err != nil {
			return nil, fmt.Errorf("registering the SSH key: %w", err)
		}
		identity.FirstBootKey = trimmed(key.PublicKeyOpenssh)
		if private == nil {
			private = key.PrivateKeyOpenssh
		}
	}
	identity.PrivateKey = pulumi.ToSecret(private.ToStringOutput()).(pulumi.StringOutput)
	// Public by nature; without this it would stay hidden in every diff.
	identity.PublicKey = pulumi.Unsecret(identity.PrivateKey.ApplyT(publicKeyOf)).(pulumi.StringOutput)
	var err error
	identity.admit, err = ctx.RegisterResourceHook(name+"-admit", func(change *pulumi.ResourceHookArgs) error {
		return admit(ctx.Context(), change)
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("registering a hook: %w", err)
	}
	identity.leave, err = ctx.RegisterResourceHook(name+"-leave", func(change *pulumi.ResourceHookArgs) error {
		return leave(ctx.Context(), change)
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("registering a hook: %w", err)
	}
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

// admitTimeout bounds what admit does on a host.
const admitTimeout = 2 * time.Minute

// admit is run before a command on a host is updated. Where that changes the
// login key, and the host does not accept the new one yet, it lets it in with
// the old one, which is in the state for as long as it is not replaced.
func admit(ctx context.Context, change *pulumi.ResourceHookArgs) error {
	before, after := targetOf(change.OldInputs), targetOf(change.NewInputs)
	if before.PrivateKey == after.PrivateKey {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	connected, err := shell.Dial(ctx, after, 1)
	switch {
	case err == nil:
		connected.Close()
		return nil
	case !errors.Is(err, shell.ErrRefused):
		return nil // the command itself finds out, and says so
	}
	public, err := publicKeyOf(after.PrivateKey)
	if err != nil {
		return err
	}
	old := after
	old.PrivateKey = before.PrivateKey
	connected, err = shell.Dial(ctx, old, 1)
	if err != nil {
		return fmt.Errorf("the machine accepts neither the new login key (%s) nor the one of the last run: %w; "+
			"add the new one to the authorized keys of %s there by hand, at Hetzner through the console: docs/keys.md",
			public, err, after.User)
	}
	defer connected.Close()
	script := cloudinit.AuthorizedKeys(cloudinit.AuthorizedKeysArgs{User: after.User, Login: public})
	if _, err := connected.Run(ctx, script, cloudinit.AdmitKey); err != nil {
		return fmt.Errorf("adding the new login key with the old one: %w", err)
	}
	return nil
}
