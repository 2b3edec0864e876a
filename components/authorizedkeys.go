package components

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/internal/shell"
)

// keepKeys registers the step that keeps the keys of a host. It comes after everything
// that undoes itself with the login key that it was last done with: after an update
// that failed in between, the old one has to be accepted. Its delete leaves the login key.
func (host *Host) keepKeys(ctx *pulumi.Context, after pulumi.Resource) error {
	args, name := host.args, host.name
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
	opts := []pulumi.ResourceOption{pulumi.Parent(host), pulumi.DependsOn([]pulumi.Resource{after})}
	if !args.GiveUp {
		opts = append(opts, pulumi.ResourceHooks(&pulumi.ResourceHookBinding{BeforeUpdate: []*pulumi.ResourceHook{args.Identity.leave}}))
	}
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

// leave is run before the keys of a host are kept. Where another user logs in from
// now on, those of the one before would stay behind, and nobody would take away what
// leaves the configuration later. It comes in as the new user, for the one before may
// not be let in any more, and runs what kept the keys.
func leave(ctx context.Context, change *pulumi.ResourceHookArgs) error {
	before, after := targetOf(change.OldInputs), targetOf(change.NewInputs)
	if before.User == after.User || before.User == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	connected, err := shell.Dial(ctx, after, 1)
	if err != nil {
		return fmt.Errorf("taking the keys of user %s back, who logged in so far: %w", before.User, err)
	}
	defer connected.Close()
	gone := fmt.Sprintf("[ -d ~%s ] || exit 0\n", before.User)
	if _, err := connected.Run(ctx, gone+plainText(change.OldInputs["stdin"]), cloudinit.ReleaseKeys); err != nil {
		return fmt.Errorf("taking the keys of user %s back, who logged in so far: %w", before.User, err)
	}
	return nil
}
