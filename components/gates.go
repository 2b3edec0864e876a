package components

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/gate/proof"
)

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
	// Revision is that of a version that was built again on purpose, or 0.
	Revision int
	// Tags are those that the image is to be published under. With any, the
	// version must not be published with another digest.
	Tags []string
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
		{"unpublished", len(args.Tags) == 0, func(image proof.Image) any {
			return proof.Unpublished{Image: image, Version: args.Version, Revision: args.Revision, Tags: args.Tags}
		}},
	} {
		if gate.skip {
			continue
		}
		found, err := runGate(ctx, name, gate.name, gateDocument(args.Repository, gates.Digest, args.Credentials, nil,
			func(image proof.Image, _ string) any { return gate.proof(image) }), gates)
		if err != nil {
			return nil, err
		}
		gates.Digest = proven(gates.Digest, found)
	}
	gates.Ref = pulumi.Sprintf("%s@%s", args.Repository, gates.Digest)
	return gates, ctx.RegisterResourceOutputs(gates, pulumi.Map{"digest": gates.Digest, "ref": gates.Ref})
}
