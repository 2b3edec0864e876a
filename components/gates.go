package components

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-command/sdk/go/command/local"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/gate/proof"
	"github.com/clawft/infra/registry"
)

// gateProgram runs the gates. Its import path, unlike a path of the file system,
// is the same from every directory of every checkout.
const gateProgram = "go run github.com/clawft/infra/gate"

// GatesArgs says what has to be true of an image.
type GatesArgs struct {
	// Repository is registry/path in lower case, without a tag.
	Repository string
	// Digest of the image's index, sha256:….
	Digest pulumi.StringInput
	// Version is what the gateway has to report.
	Version string
	// Platforms must all be there, such as "linux/arm64".
	Platforms []string
	// SizeLimitMiB is the most that one platform may be, compressed.
	SizeLimitMiB int
	// Smoke is nil where the image is not started before it is deployed.
	Smoke *SmokeArgs
	// Unpublished demands that the version is not published with another digest.
	Unpublished bool
	// Credentials can read the repository. Nil where the registry is read
	// anonymously or this machine is logged in already.
	Credentials *RegistryCredentials
}

// SmokeArgs says how an image is started to prove it.
type SmokeArgs struct {
	// HealthTimeout is how long it may take to become healthy, in seconds.
	HealthTimeout int
}

// Gates are the proofs of an image, one after the other. What is tagged and what
// is deployed takes the digest from here, and so waits for all of them: when one
// fails, nothing public has changed. A preview runs none.
type Gates struct {
	pulumi.ResourceState

	// Digest is the digest of the image, proven.
	Digest pulumi.StringOutput
	// Ref is repository@digest.
	Ref pulumi.StringOutput
}

// NewGates registers the gates. Every one is a command on the machine that runs
// Pulumi, which needs Go for this program anyway.
func NewGates(ctx *pulumi.Context, name string, args *GatesArgs, opts ...pulumi.ResourceOption) (*Gates, error) {
	gates := &Gates{Digest: args.Digest.ToStringOutput()}
	if err := ctx.RegisterComponentResource("clawft:index:Gates", name, gates, opts...); err != nil {
		return nil, err
	}
	for _, gate := range []struct {
		name  string
		skip  bool
		proof func(proof.Image) any
	}{
		{"size", false, func(image proof.Image) any {
			return proof.Size{Image: image, Platforms: args.Platforms, LimitMiB: args.SizeLimitMiB}
		}},
		{"smoke", args.Smoke == nil, func(image proof.Image) any {
			return proof.Smoke{Image: image, Version: args.Version, HealthTimeout: args.Smoke.HealthTimeout}
		}},
		{"unpublished", !args.Unpublished, func(image proof.Image) any {
			return proof.Unpublished{Image: image, Version: args.Version}
		}},
	} {
		if gate.skip {
			continue
		}
		command, err := local.NewCommand(ctx, name+"-"+gate.name, &local.CommandArgs{
			Create: pulumi.String(gateProgram + " " + gate.name),
			Stdin:  args.document(gates.Digest, gate.proof).ToStringPtrOutput(),
			// What it prints is in the stack's state, and an error says it all.
			Logging:                local.LoggingStderr,
			AddPreviousOutputInEnv: pulumi.Bool(false),
		}, pulumi.Parent(gates))
		if err != nil {
			return nil, fmt.Errorf("registering the gate %s: %w", gate.name, err)
		}
		gates.Digest = proven(gates.Digest, command)
	}
	gates.Ref = pulumi.Sprintf("%s@%s", args.Repository, gates.Digest)
	return gates, ctx.RegisterResourceOutputs(gates, pulumi.Map{"digest": gates.Digest, "ref": gates.Ref})
}

// proven is a digest that is known once a gate has let it pass.
func proven(digest pulumi.StringOutput, gate *local.Command) pulumi.StringOutput {
	return pulumi.All(digest, gate.Stdout).ApplyT(func(all []any) string {
		return all[0].(string)
	}).(pulumi.StringOutput)
}

// document is what a gate reads. It is secret if there is a login in it.
func (args *GatesArgs) document(digest pulumi.StringOutput, of func(proof.Image) any) pulumi.StringOutput {
	inputs := []any{digest}
	if args.Credentials != nil {
		inputs = append(inputs, args.Credentials.Password)
	}
	return pulumi.All(inputs...).ApplyT(func(all []any) (string, error) {
		image := proof.Image{Repository: args.Repository, Digest: all[0].(string)}
		if args.Credentials != nil {
			image.Login = &registry.Login{Username: args.Credentials.Username, Password: all[1].(string)}
		}
		text, err := json.Marshal(of(image))
		if err != nil {
			return "", fmt.Errorf("encoding a gate's document: %w", err)
		}
		return string(text), nil
	}).(pulumi.StringOutput)
}
