package components

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// AccessArgs says who may reach the Hetzner servers of a stack.
type AccessArgs struct {
	// FirstBootKey is the OpenSSH public key that new servers accept for root. It
	// has to be this stack's alone: a Hetzner project takes each key once.
	FirstBootKey pulumi.StringInput
	// AllowedSources are the CIDR blocks from which SSH is reachable.
	AllowedSources []string
	// Hetzner is what the project has, and Owner whose this is to be.
	Hetzner *Hetzner
	Owner   *Owner
	// Labels are set on every resource, beside the owner's.
	Labels map[string]string
}

// Access is what all Hetzner servers of a stack share: the SSH key that they are
// created with, so that Hetzner mails no password, and the firewall in front. SSH is the only port
// that the firewall opens; the gateway's API has no authentication of its own
// and is reached through an SSH tunnel.
type Access struct {
	pulumi.ResourceState

	SSHKeyID   pulumi.StringOutput
	FirewallID pulumi.IntOutput

	power   *power
	hetzner *Hetzner
	taken   pulumi.ResourceOption
}

// NewAccess registers the SSH key and the firewall. Neither has a name of its
// own: names are unique in a Hetzner project, and stacks of one name may share it.
func NewAccess(ctx *pulumi.Context, name string, args *AccessArgs, opts ...pulumi.ResourceOption) (*Access, error) {
	access := &Access{hetzner: args.Hetzner}
	if err := ctx.RegisterComponentResource("clawft:index:Access", name, access, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(access)
	var err error
	if access.power, err = newPower(ctx, name); err != nil {
		return nil, err
	}
	public := trimmed(args.FirstBootKey)
	if access.taken, err = explainTaken(ctx, name); err != nil {
		return nil, err
	}
	key, err := hcloud.NewSshKey(ctx, name+"-key", &hcloud.SshKeyArgs{
		PublicKey: public,
		Labels:    labelled(args.Labels, args.Owner),
	}, parent, args.Hetzner.adopt(name+"-key", args.Owner, args.Hetzner.foundKeys(), public))
	if err != nil {
		return nil, fmt.Errorf("registering the SSH key: %w", err)
	}

	everywhere := pulumi.ToStringArray([]string{"0.0.0.0/0", "::/0"})
	firewall, err := hcloud.NewFirewall(ctx, name+"-firewall", &hcloud.FirewallArgs{
		Labels: labelled(args.Labels, args.Owner),
		Rules: hcloud.FirewallRuleArray{
			&hcloud.FirewallRuleArgs{
				Description: pulumi.String("SSH"),
				Direction:   pulumi.String("in"),
				Protocol:    pulumi.String("tcp"),
				Port:        pulumi.String("22"),
				SourceIps:   pulumi.ToStringArray(args.AllowedSources),
			},
			&hcloud.FirewallRuleArgs{
				Description: pulumi.String("ICMP, for path MTU discovery and ping"),
				Direction:   pulumi.String("in"),
				Protocol:    pulumi.String("icmp"),
				SourceIps:   everywhere,
			},
		},
	}, parent, args.Hetzner.adopt(name+"-firewall", args.Owner, args.Hetzner.foundFirewalls()))
	if err != nil {
		return nil, fmt.Errorf("registering the firewall: %w", err)
	}
	args.Hetzner.note(name+"-key", key.ID())
	args.Hetzner.note(name+"-firewall", firewall.ID())

	access.SSHKeyID = key.ID().ToStringOutput()
	access.FirewallID = numericID(firewall.ID())
	return access, ctx.RegisterResourceOutputs(access, pulumi.Map{
		"sshKeyId":   access.SSHKeyID,
		"firewallId": access.FirewallID,
	})
}

// trimmed drops surrounding white space: OpenSSH keys come with a final
// newline, which the Hetzner API drops, so that keeping it would show as drift.
func trimmed(text pulumi.StringInput) pulumi.StringOutput {
	return text.ToStringOutput().ApplyT(strings.TrimSpace).(pulumi.StringOutput)
}

// numericID converts a Hetzner resource's ID, a decimal number given as text.
func numericID(id pulumi.IDOutput) pulumi.IntOutput {
	return id.ApplyT(func(id pulumi.ID) (int, error) {
		number, err := strconv.Atoi(string(id))
		if err != nil {
			return 0, fmt.Errorf("reading the numeric ID %q: %w", id, err)
		}
		return number, nil
	}).(pulumi.IntOutput)
}
