package bench

import (
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-command/sdk/go/command"
	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	cloudinit "github.com/clawft/infra/cloud-init"
)

// bareProgram is what somebody would write who needs the same hosts once: the
// same providers, as many resources of the same types with inputs of the same
// size, each fed by the one before. It has no configuration to check, asks the
// providers nothing, and its components are names.
func bareProgram(hosts int) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		cloud, err := hcloud.NewProvider(ctx, "hcloud", &hcloud.ProviderArgs{
			Token: config.New(ctx, "hcloud").RequireSecret("token").ToStringPtrOutput(),
		})
		if err != nil {
			return err
		}
		keys, err := tls.NewProvider(ctx, "tls", nil)
		if err != nil {
			return err
		}
		commands, err := command.NewProvider(ctx, "command", nil)
		if err != nil {
			return err
		}
		var unused pulumi.ProviderResourceState
		if err := ctx.RegisterResource("pulumi:providers:cloudinit", "cloudinit", pulumi.Map{}, &unused); err != nil {
			return err
		}

		for _, name := range []string{"ssh", "access", "owner"} {
			if err := bareComponent(ctx, name); err != nil {
				return err
			}
		}
		for _, name := range []string{"id", "protection"} {
			if _, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: pulumi.String(name)}); err != nil {
				return err
			}
		}
		self := fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())
		if _, err := pulumi.NewStackReference(ctx, self, nil); err != nil {
			return err
		}
		login, err := tls.NewPrivateKey(ctx, "login", &tls.PrivateKeyArgs{Algorithm: pulumi.String("ED25519")}, pulumi.Provider(keys))
		if err != nil {
			return err
		}
		key, err := hcloud.NewSshKey(ctx, "login", &hcloud.SshKeyArgs{
			Name:      pulumi.String("login"),
			PublicKey: login.PublicKeyOpenssh,
		}, pulumi.Provider(cloud))
		if err != nil {
			return err
		}
		if _, err := hcloud.NewFirewall(ctx, "firewall", &hcloud.FirewallArgs{
			Rules: hcloud.FirewallRuleArray{&hcloud.FirewallRuleArgs{
				Direction: pulumi.String("in"),
				Protocol:  pulumi.String("tcp"),
				Port:      pulumi.String("22"),
				SourceIps: pulumi.ToStringArray([]string{"0.0.0.0/0", "::/0"}),
			}},
		}, pulumi.Provider(cloud)); err != nil {
			return err
		}
		for i := range hosts {
			if err := bareHost(ctx, hostName(i), login, key, cloud, keys, commands); err != nil {
				return err
			}
		}
		return nil
	}
}

func bareHost(ctx *pulumi.Context, name string, login *tls.PrivateKey, key *hcloud.SshKey,
	cloud, keys, commands pulumi.ProviderResource,
) error {
	for _, part := range []string{"host", "gateway"} {
		if err := bareComponent(ctx, name+"-"+part); err != nil {
			return err
		}
	}
	hostKey, err := tls.NewPrivateKey(ctx, name, &tls.PrivateKeyArgs{Algorithm: pulumi.String("ED25519")}, pulumi.Provider(keys))
	if err != nil {
		return err
	}
	address, err := hcloud.NewPrimaryIp(ctx, name, &hcloud.PrimaryIpArgs{
		Name:       pulumi.String(name),
		Type:       pulumi.String("ipv4"),
		Location:   pulumi.String("nbg1"),
		AutoDelete: pulumi.Bool(false),
	}, pulumi.Provider(cloud))
	if err != nil {
		return err
	}
	server, err := hcloud.NewServer(ctx, name, &hcloud.ServerArgs{
		Name:       pulumi.String(name),
		ServerType: pulumi.String("cx23"),
		Location:   pulumi.String("nbg1"),
		Image:      pulumi.String("debian-12"),
		SshKeys:    pulumi.StringArray{key.Name},
		PublicNets: hcloud.ServerPublicNetArray{&hcloud.ServerPublicNetArgs{
			Ipv4:        address.ID().ToStringOutput().ApplyT(strconv.Atoi).(pulumi.IntOutput),
			Ipv4Enabled: pulumi.Bool(true),
			Ipv6Enabled: pulumi.Bool(true),
		}},
		UserData: pulumi.Sprintf("#cloud-config\n# %s", hostKey.PrivateKeyOpenssh),
	}, pulumi.Provider(cloud))
	if err != nil {
		return err
	}
	connection := remote.ConnectionArgs{
		Host:       address.IpAddress,
		User:       pulumi.String("root"),
		PrivateKey: login.PrivateKeyOpenssh.ToStringPtrOutput(),
		HostKey:    hostKey.PublicKeyOpenssh.ToStringPtrOutput(),
	}
	var before pulumi.Resource = server
	release := pulumi.ToSecret(pulumi.String(`{"image":"` + recordedImage + `","version":"0.6.19"}`)).(pulumi.StringOutput)
	for _, step := range []struct {
		name  string
		stdin pulumi.StringOutput
	}{
		{"ready", pulumi.String(cloudinit.Readiness()).ToStringOutput()},
		{"bootstrap", pulumi.String(cloudinit.Bootstrap()).ToStringOutput()},
		{"login", login.PublicKeyOpenssh},
		{"release", release},
		{"keys", login.PublicKeyOpenssh},
	} {
		before, err = remote.NewCommand(ctx, name+"-"+step.name, &remote.CommandArgs{
			Connection: connection,
			Create:     pulumi.String("bash -s"),
			Stdin:      step.stdin.ToStringPtrOutput(),
		}, pulumi.Provider(commands), pulumi.DependsOn([]pulumi.Resource{before}))
		if err != nil {
			return err
		}
	}
	ctx.Export(name, address.IpAddress)
	return nil
}

// bareComponent registers a component that has nothing below it.
func bareComponent(ctx *pulumi.Context, name string) error {
	return ctx.RegisterComponentResource("bare:index:Component", name, &struct{ pulumi.ResourceState }{})
}

func hostName(i int) string { return fmt.Sprintf("gw-%d", i+1) }
