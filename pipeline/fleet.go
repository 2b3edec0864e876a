package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
)

// fleet registers the hosts and the gateways on them, in the order of the
// roll-out, and returns the output about each. The identity is nil when there are
// no hosts.
func (c *Config) fleet(ctx *pulumi.Context, image release, hetzner *components.Hetzner, use pulumi.ResourceOption) (pulumi.Map, *components.Identity, error) {
	// Also for hosts that are only deleted.
	unreachable, err := components.NewUnreachable(ctx)
	if err != nil || len(c.Hosts) == 0 {
		return pulumi.Map{}, nil, err
	}
	common, err := c.common(ctx, hetzner, use)
	if err != nil {
		return nil, nil, err
	}
	common.Unreachable = unreachable
	document, err := c.Gateway.JSON()
	if err != nil {
		return nil, nil, fmt.Errorf("rendering the gateway's config.json: %w", err)
	}
	outputs := pulumi.Map{}
	var order rollout
	for _, host := range c.Hosts {
		args := c.hostArgs(common, host)
		if !host.GiveUp {
			args.After = order.before(c.Rollout)
		}
		machine, err := components.NewHost(ctx, host.Name, args, use)
		if err != nil {
			return nil, nil, err
		}
		gateway, err := components.NewGateway(ctx, host.Name, c.gatewayArgs(machine, document, image), use)
		if err != nil {
			return nil, nil, fmt.Errorf("deploying to %s: %w", host.Name, err)
		}
		if host.GiveUp {
			if err := warnOfGivenUp(ctx, host.Name); err != nil {
				return nil, nil, err
			}
			continue
		}
		order.add(gateway.Verified)
		outputs[host.Name] = pulumi.Map{
			"address": machine.Address,
			"user":    pulumi.String(machine.User),
			"port":    pulumi.Int(machine.Port),
			"hostKey": machine.HostKey,
			"image":   gateway.Image,
			"report":  gateway.Report,
			"tunnel":  tunnel(machine),
		}
	}
	return outputs, common.Identity, nil
}

// common registers what all hosts share, and returns the arguments that all have.
func (c *Config) common(ctx *pulumi.Context, hetzner *components.Hetzner, use pulumi.ResourceOption) (components.HostArgs, error) {
	servers := c.servers()
	common := components.HostArgs{
		AuthorizedKeys: c.SSH.AuthorizedKeys,
		Protect:        c.Protect,
		Labels:         map[string]string{"project": ctx.Project(), "stack": ctx.Stack(), "managed-by": "pulumi"},
	}
	var err error
	common.Identity, err = components.NewIdentity(ctx, "ssh", &components.IdentityArgs{
		PrivateKey: c.SSH.PrivateKey,
		Servers:    len(servers) > 0,
	}, use)
	if err != nil {
		return common, err
	}
	if common.Owner, err = components.NewOwner(ctx, "owner", use); err != nil {
		return common, err
	}
	if len(servers) > 0 {
		common.Access, err = components.NewAccess(ctx, "access", &components.AccessArgs{
			FirstBootKey:   common.Identity.FirstBootKey,
			AllowedSources: c.SSH.AllowedSources,
			Hetzner:        hetzner,
			Owner:          common.Owner,
			Labels:         common.Labels,
		}, use)
		if err != nil {
			return common, err
		}
	}
	return common, nil
}

// hostArgs is what one host differs in from the others.
func (c *Config) hostArgs(common components.HostArgs, host Host) *components.HostArgs {
	common.Was, common.TakeOver, common.GiveUp = host.Was, host.TakeOver, host.GiveUp
	if host.Hcloud != nil {
		server := components.HcloudServer(*host.Hcloud)
		common.Server = &server
	} else {
		common.Machine = &components.ExistingMachine{
			Address: host.Address, Port: host.Port, User: host.User, HostKey: host.HostKey,
		}
	}
	return &common
}

func (c *Config) gatewayArgs(host *components.Host, document json.RawMessage, image release) *components.GatewayArgs {
	args := &components.GatewayArgs{
		Host:            host,
		Image:           image.ref,
		Version:         c.Version,
		Config:          document,
		Secrets:         c.Environment(),
		PullCredentials: c.Image.Pull.component(),
		Port:            c.Gateway.Port,
		MemoryMiB:       c.Gateway.MemoryMiB,
		Pids:            c.Gateway.Pids,
		HealthTimeout:   c.Gateway.HealthTimeout,
		Watch:           c.Gateway.Watch,
		Drain:           c.Gateway.Drain,
	}
	if image.signature != nil {
		args.Signature = image.signature.Proof
	}
	return args
}

func warnOfGivenUp(ctx *pulumi.Context, name string) error {
	err := ctx.Log.Warn(fmt.Sprintf("host %s is given up: nothing connects to it any more. "+
		"It may still run its gateway, which holds all secrets: see that it is off, or change them. "+
		"Without its entry in clawft:hosts, the next pulumi up forgets it.", name), nil)
	if err != nil {
		return fmt.Errorf("warning of a host that is given up: %w", err)
	}
	return nil
}

// servers are the hosts that are created at Hetzner, by name.
func (c *Config) servers() map[string]components.HcloudServer {
	servers := map[string]components.HcloudServer{}
	for _, host := range c.Hosts {
		if host.Hcloud != nil {
			servers[host.Name] = components.HcloudServer(*host.Hcloud)
		}
	}
	return servers
}

// renamed has the names that hosts had before, by the new ones.
func (c *Config) renamed() map[string]string {
	was := map[string]string{}
	for _, host := range c.Hosts {
		if host.Was != "" {
			was[host.Name] = host.Was
		}
	}
	return was
}

// tunnel is the command that makes a host's gateway answer on the operator's
// own port 8080.
func tunnel(host *components.Host) pulumi.StringOutput {
	port := ""
	if host.Port != 22 {
		port = fmt.Sprintf("-p %d ", host.Port)
	}
	return pulumi.Sprintf("ssh -N -L 8080:127.0.0.1:8080 %s%s@%s", port, host.User, host.Address)
}
