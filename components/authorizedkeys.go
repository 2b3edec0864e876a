package components

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	cloudinit "github.com/clawft/infra/cloud-init"
)

// keepKeys registers the step that keeps the keys of a host. It comes after what
// refuses a host that is somebody else's, and its delete leaves the login key.
func (host *Host) keepKeys(ctx *pulumi.Context, name string, args *HostArgs, opts ...pulumi.ResourceOption) error {
	firstBoot := pulumi.String("").ToStringOutput()
	if args.Server != nil {
		firstBoot = args.Identity.FirstBootKey
	}
	script := pulumi.All(args.Identity.PublicKey, firstBoot, args.Owner.ID).ApplyT(func(all []any) string {
		return cloudinit.AuthorizedKeys(cloudinit.AuthorizedKeysArgs{
			User: host.User,
			// A host of the same name may be another stack's by now, and keeps its keys.
			Block:     all[2].(string) + "/" + name,
			Login:     all[0].(string),
			Keys:      args.AuthorizedKeys,
			FirstBoot: all[1].(string),
		})
	}).(pulumi.StringOutput)
	_, err := host.run(ctx, name+"-keys", commandArgs{
		Create: pulumi.String(host.command("bash -s -- " + cloudinit.KeepKeys)),
		Delete: pulumi.String(host.command("bash -s -- " + cloudinit.ReleaseKeys)),
		Stdin:  host.perMachine(script),
	}, opts...)
	if err != nil {
		return fmt.Errorf("registering the login keys: %w", err)
	}
	return nil
}
