package components

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ownerLabel has the owner's ID at Hetzner, on everything that a stack has there.
const ownerLabel = "owner"

// Hetzner is what the stack's Hetzner project has and sells, and what the stack
// knows of it. An update that is killed while something is created leaves it there
// without a trace in the state, and no other can be created beside it: names,
// addresses and keys are unique in a project. Whatever carries the owner's ID and is
// what the stack wants is therefore taken into the state instead.
type Hetzner struct {
	types     []hcloud.GetServerTypesServerType
	servers   []hcloud.GetServersServer
	addresses []hcloud.GetPrimaryIpsPrimaryIp
	keys      []hcloud.GetSshKeysSshKey
	firewalls []hcloud.GetFirewallsFirewall
	// known are the IDs that the last update left in the stack's outputs, by the
	// name of the resource.
	known map[string]string

	mu  sync.Mutex
	ids pulumi.Map
}

// ReadHetzner asks the Hetzner API what there is. Known is what IDs gave to the last
// update that completed.
func ReadHetzner(ctx *pulumi.Context, providers *Providers, known map[string]string) (*Hetzner, error) {
	h := &Hetzner{known: known, ids: pulumi.Map{}}
	use := pulumi.Provider(providers.hcloud)
	types, err := hcloud.GetServerTypes(ctx, use)
	if err != nil {
		if says(err, "unauthorized") {
			return nil, fmt.Errorf("hcloud:token is wrong: Hetzner refuses it; set one that is valid: pulumi config set --stack %s --secret hcloud:token, or the environment variable HCLOUD_TOKEN", ctx.Stack())
		}
		return nil, fmt.Errorf("listing Hetzner server types: %w", err)
	}
	h.types = types.ServerTypes
	// Each is a question to the API, and nothing goes on before the last answer.
	var wait sync.WaitGroup
	failures := make([]error, 4)
	wait.Go(func() {
		if all, err := hcloud.GetServers(ctx, &hcloud.GetServersArgs{}, use); err != nil {
			failures[0] = fmt.Errorf("listing the servers of the Hetzner project: %w", err)
		} else {
			h.servers = all.Servers
		}
	})
	wait.Go(func() {
		if all, err := hcloud.GetPrimaryIps(ctx, &hcloud.GetPrimaryIpsArgs{}, use); err != nil {
			failures[1] = fmt.Errorf("listing the primary IPs of the Hetzner project: %w", err)
		} else {
			h.addresses = all.PrimaryIps
		}
	})
	wait.Go(func() {
		if all, err := hcloud.GetSshKeys(ctx, &hcloud.GetSshKeysArgs{}, use); err != nil {
			failures[2] = fmt.Errorf("listing the SSH keys of the Hetzner project: %w", err)
		} else {
			h.keys = all.SshKeys
		}
	})
	wait.Go(func() {
		if all, err := hcloud.GetFirewalls(ctx, &hcloud.GetFirewallsArgs{}, use); err != nil {
			failures[3] = fmt.Errorf("listing the firewalls of the Hetzner project: %w", err)
		} else {
			h.firewalls = all.Firewalls
		}
	})
	wait.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}

// IDs are those of everything that the stack has at Hetzner, by the name of the
// resource.
func (h *Hetzner) IDs() pulumi.Map {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ids
}

func (h *Hetzner) note(name string, id pulumi.IDOutput) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ids[name] = id
}

// found is something at Hetzner, and what of it cannot be changed once it is there.
type found struct {
	id    int
	owner string
	is    []string
}

// adopt has a resource be what the owner has at Hetzner, where that is as wanted and
// no update that completed knew one. The engine imports what its state does not have,
// and leaves what an update that failed noted there. What it knew it may be about to
// replace, which it refuses of an import, or may have been killed while it did: then
// it would keep the old one in the state for ever.
func (h *Hetzner) adopt(name string, owner *Owner, all []found, wanted ...pulumi.StringInput) pulumi.ResourceOption {
	want := []any{owner.ID}
	for _, text := range wanted {
		want = append(want, text)
	}
	return pulumi.Import(pulumi.All(want...).ApplyT(func(want []any) pulumi.ID {
		var fits []string
		for _, one := range all {
			is := append([]string{one.owner}, one.is...)
			if sameTexts(is, want) {
				fits = append(fits, strconv.Itoa(one.id))
			}
		}
		if len(fits) != 1 || h.known[name] != "" {
			return ""
		}
		return pulumi.ID(fits[0])
	}).(pulumi.IDOutput))
}

func sameTexts(is []string, want []any) bool {
	for i, text := range is {
		if want[i].(string) != text {
			return false
		}
	}
	return true
}

// foundServers are the servers that are at one of these names.
func (h *Hetzner) foundServers(names ...string) (all []found) {
	for _, server := range h.servers {
		if oneOf(server.Name, names) {
			all = append(all, found{server.Id, server.Labels[ownerLabel], []string{server.Location, server.Image}})
		}
	}
	return all
}

func (h *Hetzner) foundAddresses(names ...string) (all []found) {
	for _, address := range h.addresses {
		if oneOf(address.Name, names) {
			all = append(all, found{address.Id, address.Labels[ownerLabel], []string{address.Type, address.Location}})
		}
	}
	return all
}

func (h *Hetzner) foundKeys() (all []found) {
	for _, key := range h.keys {
		all = append(all, found{key.Id, key.Labels[ownerLabel], []string{strings.TrimSpace(key.PublicKey)}})
	}
	return all
}

func (h *Hetzner) foundFirewalls() (all []found) {
	for _, firewall := range h.firewalls {
		if firewall.Id != nil {
			all = append(all, found{*firewall.Id, firewall.Labels[ownerLabel], nil})
		}
	}
	return all
}

// addressed tells whether a server has the address that it is to have.
func (h *Hetzner) addressed(names ...string) bool {
	for _, server := range h.servers {
		if !oneOf(server.Name, names) {
			continue
		}
		for _, address := range h.addresses {
			if name, ours := strings.CutSuffix(address.Name, "-ipv4"); ours && address.AssigneeId == server.Id && oneOf(name, names) {
				return true
			}
		}
	}
	return false
}

func oneOf(name string, names []string) bool {
	for _, one := range names {
		if name == one && one != "" {
			return true
		}
	}
	return false
}

// explainTaken says what to do about a name that something at Hetzner has already.
func explainTaken(ctx *pulumi.Context, name string) (pulumi.ResourceOption, error) {
	hook, err := ctx.RegisterErrorHook(name+"-taken", func(args *pulumi.ErrorHookArgs) (bool, error) {
		if args.FailedOperation != "create" || len(args.Errors) == 0 || !strings.Contains(args.Errors[0], "uniqueness_error") {
			return false, nil
		}
		kind := map[bool]string{true: "server", false: "primary-ip"}[args.Type == "hcloud:index/server:Server"]
		return false, ctx.Log.Error(takenMessage(kind, plainText(args.NewInputs["name"])), nil)
	})
	if err != nil {
		return nil, fmt.Errorf("registering a hook: %w", err)
	}
	return pulumi.ResourceHooks(&pulumi.ResourceHookBinding{OnError: []*pulumi.ErrorHook{hook}}), nil
}

func takenMessage(kind, name string) string {
	return fmt.Sprintf("The Hetzner project has a %s %s already, and this stack's state does not. "+
		"If it was left by an update that was killed while it replaced another, it is empty: hcloud %s delete %s, then pulumi up. "+
		"If it is somebody else's, name the host otherwise.", strings.ReplaceAll(kind, "primary-ip", "primary IP"), name, kind, name)
}

// labelled are the labels of something at Hetzner.
func labelled(labels map[string]string, owner *Owner) pulumi.StringMap {
	all := pulumi.ToStringMap(labels)
	all[ownerLabel] = owner.ID
	return all
}
