package components

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/crypto/ssh"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/internal/shell"
)

// defaultPort is SSH's.
const defaultPort = 22

// HcloudServer describes a server to create at Hetzner.
type HcloudServer struct {
	// Type is the server type, such as "cax11". A change resizes the server in
	// place, with a reboot.
	Type string
	// Location is the data centre location, such as "nbg1". A change replaces
	// the server.
	Location string
	// Image is the operating system image, such as "debian-12". A change
	// replaces the server.
	Image string
}

// ExistingMachine describes a machine that somebody else created.
type ExistingMachine struct {
	// Address is its IP address or DNS name.
	Address string
	// Port is its SSH port.
	Port int
	// User logs in by key; any other than root needs password-less sudo.
	User string
	// HostKey is its SSH host key in OpenSSH format: "ssh-ed25519 AAAA…".
	HostKey string
}

// HostArgs describes a machine that runs a gateway. Exactly one of Server and
// Machine is set.
type HostArgs struct {
	Server  *HcloudServer
	Machine *ExistingMachine
	// Access is required with Server.
	Access *Access
	// Owner is whose the machine is to be. The host's name is the gateway's.
	Owner *Owner
	// Was is the host's name before it was renamed; empty if it was not.
	Was string
	// TakeOver is another owner and gateway, as "ID/gateway", whose machine this may
	// be so far.
	TakeOver string
	// GiveUp leaves the machine as it is for good: nothing connects to it, neither
	// now nor when the host is deleted.
	GiveUp bool
	// Unreachable explains a machine that does not answer. Nil explains nothing.
	Unreachable *Unreachable
	// After has to be done before anything that exists of this host changes: the
	// gateways of the hosts that come first in a roll-out, verified.
	After []pulumi.Resource
	// Identity is the key that logs in.
	Identity *Identity
	// AuthorizedKeys are further public keys, in OpenSSH format, that log in.
	AuthorizedKeys []string
	// Protect guards the server and its address against deletion, by Pulumi and
	// by the Hetzner API, and the gateway against removal by Pulumi.
	Protect bool
	// Labels are set on Hetzner resources.
	Labels map[string]string
}

// Host is a machine that is ready to run a gateway: reachable with a host key
// known beforehand, booted, and prepared by the bootstrap script.
type Host struct {
	pulumi.ResourceState

	// Address is where SSH is reached.
	Address pulumi.StringOutput
	// User is the SSH user.
	User string
	// Port is the SSH port.
	Port int
	// HostKey is the machine's public SSH host key.
	HostKey pulumi.StringOutput
	// MachineID changes when the machine behind the address is another one.
	MachineID pulumi.StringOutput

	args       *HostArgs
	name       string
	connection remote.ConnectionArgs
	bootstrap  pulumi.Resource
	admit      *pulumi.ResourceHook
	// server is nil for an existing machine.
	server pulumi.Resource
	// origin differs where the gateway has to be removed from one machine before
	// it is started on another. A server that replaces another needs no such thing:
	// the old one is deleted with all that runs on it.
	origin pulumi.StringInput
}

// NewHost registers the machine and the steps that make it ready.
func NewHost(ctx *pulumi.Context, name string, args *HostArgs, opts ...pulumi.ResourceOption) (*Host, error) {
	if err := args.check(); err != nil {
		return nil, err
	}
	host := &Host{args: args, name: name}
	if args.Machine != nil {
		if err := host.useMachine(args.Machine); err != nil {
			return nil, err
		}
	}
	if err := ctx.RegisterComponentResource("clawft:index:Host", name, host, append(opts, host.renamed())...); err != nil {
		return nil, err
	}
	if args.Server != nil {
		if err := host.createServer(ctx, name, args); err != nil {
			return nil, err
		}
	}

	host.admit = args.Identity.admit
	host.connection = remote.ConnectionArgs{
		Host:       host.Address,
		Port:       pulumi.Float64(host.Port),
		User:       pulumi.String(host.User),
		PrivateKey: args.Identity.PrivateKey.ToStringPtrOutput(),
		HostKey:    host.HostKey.ToStringPtrOutput(),
	}

	ready, err := host.run(ctx, name+"-ready", commandArgs{
		Create: pulumi.String(host.command("bash -s")),
		Stdin:  host.perMachine(pulumi.String(cloudinit.Readiness())),
		// What is found once does not change with the key or the address, and a wait
		// for what is there already would be a long one.
		Once: true,
	}, pulumi.Parent(host))
	if err != nil {
		return nil, fmt.Errorf("registering the readiness step: %w", err)
	}
	host.bootstrap, err = host.run(ctx, name+"-bootstrap", commandArgs{
		Create: host.owned(func(owner cloudinit.Owner) string { return host.command(owner.BootstrapCommand()) }),
		Stdin:  host.perMachine(pulumi.String(cloudinit.Bootstrap())),
	}, pulumi.Parent(host), pulumi.DependsOn([]pulumi.Resource{ready}))
	if err != nil {
		return nil, fmt.Errorf("registering the bootstrap step: %w", err)
	}

	return host, ctx.RegisterResourceOutputs(host, pulumi.Map{
		"address": host.Address,
		"hostKey": host.HostKey,
	})
}

func (args *HostArgs) check() error {
	switch {
	case (args.Server == nil) == (args.Machine == nil):
		return errors.New("a host is either a Hetzner server or an existing machine; give one of HostArgs.Server and HostArgs.Machine")
	case args.Server != nil && args.Access == nil:
		return errors.New("a Hetzner server needs an SSH key and a firewall (HostArgs.Access)")
	case args.Identity == nil:
		return errors.New("a host needs the SSH key that logs in to it (HostArgs.Identity)")
	case args.Owner == nil:
		return errors.New("a host needs to know whose it is (HostArgs.Owner)")
	}
	return nil
}

// useMachine describes a machine that exists already.
func (host *Host) useMachine(machine *ExistingMachine) error {
	fingerprint, err := fingerprintOf(machine.HostKey)
	if err != nil {
		return err
	}
	host.Address = pulumi.String(machine.Address).ToStringOutput()
	host.User = machine.User
	host.Port = machine.Port
	host.HostKey = pulumi.String(machine.HostKey).ToStringOutput()
	host.MachineID = pulumi.String(fingerprint).ToStringOutput()
	host.origin = host.MachineID
	return nil
}

// createServer registers a Hetzner server with an address and a host key of its
// own, both of which outlive a replacement of the server.
func (host *Host) createServer(ctx *pulumi.Context, name string, args *HostArgs) error {
	parent := pulumi.Parent(host)
	labels := labelled(args.Labels, args.Owner)
	there := args.Access.hetzner

	key, err := tls.NewPrivateKey(ctx, name+"-host-key", &tls.PrivateKeyArgs{
		Algorithm: pulumi.String("ED25519"),
	}, parent)
	if err != nil {
		return fmt.Errorf("registering the SSH host key: %w", err)
	}
	identity := args.Identity
	config := pulumi.All(key.PrivateKeyOpenssh, key.PublicKeyOpenssh, identity.PublicKey, identity.PrivateKey).ApplyT(func(all []any) (string, error) {
		// The server waits for its user-data, so this is known before anything
		// happens to it.
		args.Access.power.knows(name+"-server", shell.Target{
			Port: defaultPort, User: "root", HostKey: all[1].(string), PrivateKey: all[3].(string),
		})
		return cloudinit.CloudConfig(cloudinit.CloudConfigArgs{
			HostKeyPrivate: all[0].(string),
			HostKeyPublic:  all[1].(string),
			Login:          all[2].(string),
		})
	}).(pulumi.StringOutput)
	userData := cloudinitUserData(ctx, []cloudinitPart{
		{ContentType: "text/cloud-config", Filename: "cloud-config.yaml", Content: pulumi.ToSecret(config).(pulumi.StringOutput)},
	}, parent)

	address, err := hcloud.NewPrimaryIp(ctx, name+"-ipv4", &hcloud.PrimaryIpArgs{
		Name:             pulumi.String(name + "-ipv4"),
		Type:             pulumi.String("ipv4"),
		Location:         pulumi.String(args.Server.Location),
		AutoDelete:       pulumi.Bool(false),
		DeleteProtection: pulumi.Bool(args.Protect),
		Labels:           labels,
	}, parent, pulumi.Protect(args.Protect), pulumi.DeleteBeforeReplace(true),
		args.Access.taken,
		there.adopt(name+"-ipv4", args.Owner, there.foundAddresses(name+"-ipv4"), pulumi.String("ipv4"), pulumi.String(args.Server.Location)))
	if err != nil {
		return fmt.Errorf("registering the primary IP: %w", err)
	}

	login, err := host.admitFirst(ctx, name, args, address, trimmed(key.PublicKeyOpenssh), parent)
	if err != nil {
		return err
	}
	// Both are read at first boot only, and a change of either would replace the
	// server; what changes later is delivered over SSH.
	ignored := []string{"userData", "sshKeys"}
	if there.addressed(name, args.Was) {
		// The state of an adopted server lacks them, and the plugin would delete the
		// address that it does not find there before it assigns it anew.
		ignored = append(ignored, "publicNets")
	}
	server, err := hcloud.NewServer(ctx, name+"-server", &hcloud.ServerArgs{
		Name:        pulumi.String(name),
		ServerType:  pulumi.String(args.Server.Type),
		Location:    pulumi.String(args.Server.Location),
		Image:       pulumi.String(args.Server.Image),
		SshKeys:     pulumi.StringArray{args.Access.SSHKeyID},
		FirewallIds: pulumi.IntArray{args.Access.FirewallID},
		UserData:    userData,
		PublicNets: hcloud.ServerPublicNetArray{&hcloud.ServerPublicNetArgs{
			Ipv4:        numericID(address.ID()),
			Ipv4Enabled: pulumi.Bool(true),
			Ipv6Enabled: pulumi.Bool(true),
		}},
		// The disk is kept at its size on a resize, so that it can be undone.
		KeepDisk:               pulumi.Bool(true),
		DeleteProtection:       pulumi.Bool(args.Protect),
		RebuildProtection:      pulumi.Bool(args.Protect),
		ShutdownBeforeDeletion: pulumi.Bool(true),
		Labels:                 labels,
	}, parent, pulumi.Protect(args.Protect),
		// A changed type is a reboot, before which the gateway is ended with the login key
		// of this run.
		pulumi.DependsOn(append(slices.Clone(args.After), login)),
		pulumi.IgnoreChanges(ignored),
		there.adopt(name+"-server", args.Owner, there.foundServers(name), pulumi.String(args.Server.Location), pulumi.String(args.Server.Image)),
		pulumi.ResourceHooks(args.Access.power.binding),
		args.Access.taken,
		// The name and the address can belong to one server at a time.
		pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return fmt.Errorf("registering the server: %w", err)
	}

	there.note(name+"-ipv4", address.ID())
	there.note(name+"-server", server.ID())

	// The server must exist before anything connects to its address.
	host.Address = pulumi.All(address.IpAddress, server.ID()).ApplyT(func(all []any) string {
		return all[0].(string)
	}).(pulumi.StringOutput)
	host.User = "root"
	host.Port = defaultPort
	host.HostKey = trimmed(key.PublicKeyOpenssh)
	host.MachineID = server.ID().ToStringOutput()
	host.server = server
	host.origin = pulumi.String("hcloud")
	return nil
}

// admitFirst registers what lets a changed login key in before the server itself is
// changed, which logs in with it. It runs nothing: what matters is that the state has
// the key of the last run, and that its hook comes before everything else of the host.
func (host *Host) admitFirst(ctx *pulumi.Context, name string, args *HostArgs, address *hcloud.PrimaryIp, hostKey pulumi.StringOutput, opts ...pulumi.ResourceOption) (pulumi.Resource, error) {
	opts = append(opts, pulumi.DeleteBeforeReplace(true), pulumi.DependsOn(args.After))
	if args.GiveUp {
		opts = append(opts, pulumi.IgnoreChanges([]string{"*"}), pulumi.RetainOnDelete(true))
	} else {
		opts = append(opts, pulumi.ResourceHooks(&pulumi.ResourceHookBinding{BeforeUpdate: []*pulumi.ResourceHook{args.Identity.admit}}))
	}
	login, err := remote.NewCommand(ctx, name+"-login", &remote.CommandArgs{
		Connection: remote.ConnectionArgs{
			Host:       address.IpAddress,
			Port:       pulumi.Float64(defaultPort),
			User:       pulumi.String("root"),
			PrivateKey: args.Identity.PrivateKey.ToStringPtrOutput(),
			HostKey:    hostKey.ToStringPtrOutput(),
		},
		AddPreviousOutputInEnv: pulumi.Bool(false),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("registering the login key: %w", err)
	}
	return login, nil
}

// fingerprintOf names an existing machine by its host key.
func fingerprintOf(hostKey string) (string, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(hostKey))
	if err != nil {
		return "", fmt.Errorf("reading the SSH host key %q: %w", hostKey, err)
	}
	return ssh.FingerprintSHA256(key), nil
}

// perMachine prepends a comment that differs when the machine does, so that a
// script runs again on a replaced server whose address and keys are the same.
func (host *Host) perMachine(script pulumi.StringInput) pulumi.StringOutput {
	return pulumi.Sprintf("# machine: %s\n%s", host.MachineID, script)
}

// command prefixes sudo where the SSH user is not root.
func (host *Host) command(line string) string {
	if host.User == "root" {
		return line
	}
	return "sudo -n " + line
}

// renamed lets a host keep everything that it has under its old name. Children
// inherit it, since their names begin with the host's.
func (host *Host) renamed() pulumi.ResourceOption {
	if host.args.Was == "" {
		return pulumi.Composite()
	}
	return pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String(host.args.Was)}})
}

// owned renders what names the owner of the host.
func (host *Host) owned(render func(cloudinit.Owner) string) pulumi.StringOutput {
	return host.args.Owner.ID.ApplyT(func(id string) string { return render(host.owner(id)) }).(pulumi.StringOutput)
}

func (host *Host) owner(id string) cloudinit.Owner {
	owner := cloudinit.Owner{ID: id, Gateway: host.name, Stack: host.args.Owner.Stack}
	if host.args.Was != "" {
		owner.Takes = append(owner.Takes, id+"/"+host.args.Was)
	}
	if host.args.TakeOver != "" {
		owner.Takes = append(owner.Takes, host.args.TakeOver)
	}
	return owner
}

// commandArgs is what differs between the remote commands of a host.
type commandArgs struct {
	Create pulumi.StringInput
	// Delete undoes create. It runs on the machine where create ran, before that runs
	// on another: two gateways must not answer on one chat token. Nil leaves behind
	// what create made.
	Delete pulumi.StringInput
	Stdin  pulumi.StringInput
	// Once is true for a command that runs once on each machine, when it is new.
	Once bool
}

// run registers a remote command on the host.
func (host *Host) run(ctx *pulumi.Context, name string, args commandArgs, opts ...pulumi.ResourceOption) (*remote.Command, error) {
	opts = append(opts, pulumi.DeleteBeforeReplace(true), host.args.Unreachable.option(), pulumi.DependsOn(host.args.After))
	if host.server != nil {
		// What ran on a server is gone with it; a dead one could not be asked anyway.
		opts = append(opts, pulumi.DeletedWith(host.server))
	}
	connection := host.connection
	connection.DialErrorLimit = pulumi.Int(knownDials)
	if host.args.GiveUp {
		// What exists stays as it is in the state, and a command that does not exist
		// yet is one that does nothing.
		return remote.NewCommand(ctx, name, &remote.CommandArgs{Connection: connection},
			append(opts, pulumi.IgnoreChanges([]string{"*"}), pulumi.RetainOnDelete(true))...)
	}
	if args.Once && host.server != nil {
		connection.DialErrorLimit = pulumi.Int(createdDials)
	}
	command := &remote.CommandArgs{
		Connection: connection,
		Create:     args.Create.ToStringOutput().ToStringPtrOutput(),
		Stdin:      args.Stdin.ToStringOutput().ToStringPtrOutput(),
		// sshd would have to accept the variables (AcceptEnv), and no script reads them.
		AddPreviousOutputInEnv: pulumi.Bool(false),
	}
	// Triggers that change delete the command and create it anew; all else that
	// changes, the connection included, runs create again.
	if args.Delete != nil {
		command.Delete = args.Delete.ToStringOutput().ToStringPtrOutput()
		command.Triggers = pulumi.Array{host.origin}
		opts = append(opts, pulumi.Protect(host.args.Protect))
	}
	if args.Once {
		command.Triggers = pulumi.Array{host.MachineID}
		opts = append(opts, pulumi.IgnoreChanges([]string{"addPreviousOutputInEnv", "connection", "create", "stdin"}))
	}
	opts = append(opts, pulumi.ResourceHooks(&pulumi.ResourceHookBinding{
		BeforeUpdate: []*pulumi.ResourceHook{host.admit},
	}))
	return remote.NewCommand(ctx, name, command, opts...)
}
