package components

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/host/release"
)

// GatewayArgs describes the release that a host runs.
type GatewayArgs struct {
	Host *Host
	// Image is repository@sha256:… of the image.
	Image pulumi.StringInput
	// Version is what the gateway's health endpoint must report.
	Version string
	// Config is the gateway's config.json. It names environment variables where
	// it needs secrets and holds none itself.
	Config json.RawMessage
	// Secrets are the gateway's environment variables. Give a secret Output.
	Secrets pulumi.StringMapInput
	// PullCredentials is nil for a public package.
	PullCredentials *RegistryCredentials
	// Signature is a signature.Proof as JSON, from Signature.Proof: what the host
	// demands before it starts the image. Nil demands nothing.
	Signature pulumi.StringInput
	// Port is where the gateway listens inside its container.
	Port int
	// MemoryMiB and Pids limit the container.
	MemoryMiB, Pids int
	// HealthTimeout, Watch and Drain are in seconds: how long a new release may
	// take to become healthy, how long it is watched afterwards, and how long
	// requests in flight may take before the old release is stopped.
	HealthTimeout, Watch, Drain int
}

// RegistryCredentials log in to a registry.
type RegistryCredentials struct {
	Server   string
	Username string
	Password pulumi.StringInput
}

// Gateway is a release of the gateway that runs on a host, verified: its health
// endpoint has answered "ok" with the expected version for the watch time.
// Deleting it stops the gateway and removes it, but keeps its data directory.
type Gateway struct {
	pulumi.ResourceState

	// Image is the image that runs, as repository@sha256:….
	Image pulumi.StringOutput
	// Report is what the deployment script printed: old and new image, timings.
	Report pulumi.StringOutput
	// Verified is done once the release is.
	Verified pulumi.Resource
}

// NewGateway registers the deployment of a release to a host.
func NewGateway(ctx *pulumi.Context, name string, args *GatewayArgs, opts ...pulumi.ResourceOption) (*Gateway, error) {
	if args.Host == nil {
		return nil, errors.New("a gateway needs a host (GatewayArgs.Host)")
	}
	host := args.Host
	gateway := &Gateway{}
	if err := ctx.RegisterComponentResource("clawft:index:Gateway", name, gateway, append(opts, host.renamed())...); err != nil {
		return nil, err
	}

	release := args.release()
	deploy, err := host.run(ctx, name+"-release", commandArgs{
		// The release comes on standard input, which is secret. The comment makes a
		// preview readable, and differs when the machine behind the address does.
		Create: pulumi.Sprintf("%s # %s on %s", host.command(cloudinit.DeployCommand), args.Version, host.MachineID),
		Delete: host.owned(func(owner cloudinit.Owner) string { return host.command(owner.RemoveCommand()) }),
		Stdin:  release,
	}, pulumi.Parent(gateway), pulumi.DependsOn([]pulumi.Resource{host.bootstrap}))
	if err != nil {
		return nil, fmt.Errorf("registering the deployment: %w", err)
	}
	if err := host.keepKeys(ctx, deploy); err != nil {
		return nil, err
	}

	gateway.Verified = deploy
	gateway.Report = deploy.Stdout
	// Known only once the release is verified.
	gateway.Image = pulumi.All(args.Image, deploy.Stdout).ApplyT(func(all []any) string {
		return all[0].(string)
	}).(pulumi.StringOutput)
	return gateway, ctx.RegisterResourceOutputs(gateway, pulumi.Map{
		"image":  gateway.Image,
		"report": gateway.Report,
	})
}

// release is the document that the deployment script reads, always secret.
func (args *GatewayArgs) release() pulumi.StringOutput {
	secrets := args.Secrets
	if secrets == nil {
		secrets = pulumi.StringMap{}
	}
	none := pulumi.String("").ToStringOutput()
	inputs := []any{args.Image, secrets, none, none, args.Host.args.Owner.ID}
	if args.PullCredentials != nil {
		inputs[2] = args.PullCredentials.Password
	}
	if args.Signature != nil {
		inputs[3] = args.Signature
	}
	document := pulumi.All(inputs...).ApplyT(func(all []any) (string, error) {
		wanted := cloudinit.Release{
			Owner:         args.Host.owner(all[4].(string)),
			Image:         all[0].(string),
			Version:       args.Version,
			Config:        args.Config,
			Env:           all[1].(map[string]string),
			Port:          args.Port,
			MemoryMiB:     args.MemoryMiB,
			Pids:          args.Pids,
			HealthTimeout: args.HealthTimeout,
			Watch:         args.Watch,
			Drain:         args.Drain,
		}
		if args.PullCredentials != nil {
			wanted.Registry = &release.RegistryLogin{
				Address:  args.PullCredentials.Server,
				Username: args.PullCredentials.Username,
				Password: all[2].(string),
			}
		}
		if args.Signature != nil {
			if err := json.Unmarshal([]byte(all[3].(string)), &wanted.Signature); err != nil {
				return "", fmt.Errorf("reading the image's signature: %w", err)
			}
		}
		return wanted.JSON()
	}).(pulumi.StringOutput)
	return pulumi.ToSecret(document).(pulumi.StringOutput)
}
