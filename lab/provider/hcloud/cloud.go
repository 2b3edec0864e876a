package hcloud

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/clawft/infra/lab/machine"
)

// Machines turn servers into something that runs. A machine.Manager is one.
type Machines interface {
	Create(ctx context.Context, s machine.Spec) (string, error)
	Get(ctx context.Context, name string) (*machine.Machine, error)
	Cut(ctx context.Context, name string) error
	Delete(ctx context.Context, name string) error
}

var _ Machines = (*machine.Manager)(nil)

// Options make a cloud. The zero value is one that only records, in memory.
type Options struct {
	// Machines, if given, get one machine per server, whose IPv4 address is
	// one of Network's numbers 11 to 199. The rest is left to machines that
	// are no servers.
	Machines Machines
	Network  machine.Network
	// RegistryCAs are given to every machine.
	RegistryCAs map[string]string
	// Architecture is what machines run on, as Go names it.
	Architecture string
	// StateFile is where the cloud remembers what exists. Default: memory.
	StateFile string
}

// Cloud is one project at Hetzner: what has been created in it.
type Cloud struct {
	options Options
	store   store
}

// NewCloud returns the cloud that the options describe.
func NewCloud(o Options) *Cloud {
	return &Cloud{options: o, store: store{path: o.StateFile}}
}

// The numbers of the addresses that servers get.
const (
	firstAddress = 11
	lastAddress  = 199
)

// recordedNetwork gives addresses to servers without machines; it is reserved
// for documentation.
var recordedNetwork = machine.Network{Name: "recorded", Subnet: netip.MustParsePrefix("203.0.113.0/24")}

// allocate picks the lowest free address, so that a plan always gets the same.
func (c *Cloud) allocate(st *state, id int, version string) (netip.Addr, error) {
	if version == "ipv6" {
		// 2001:db8::/32 is for documentation. One /64 each, as at Hetzner.
		a := netip.MustParseAddr("2001:db8::").As16()
		a[4], a[5], a[6], a[7] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
		return netip.AddrFrom16(a), nil
	}
	network := recordedNetwork
	if c.options.Machines != nil {
		network = c.options.Network
	}
	taken := map[netip.Addr]bool{}
	for _, ip := range st.PrimaryIPs {
		taken[ip.Address] = true
	}
	for i := firstAddress; i <= lastAddress; i++ {
		address, err := network.Address(i)
		if err != nil {
			return netip.Addr{}, err
		}
		if !taken[address] {
			return address, nil
		}
	}
	return netip.Addr{}, &apiError{fmt.Sprintf("all %d addresses of the lab's cloud are in use", lastAddress-firstAddress+1), "resource_limit_exceeded"}
}

// Types of resources, for Prune.
const (
	ServerToken             = "hcloud:index/server:Server"
	PrimaryIPToken          = "hcloud:index/primaryIp:PrimaryIp"
	SSHKeyToken             = "hcloud:index/sshKey:SshKey"
	FirewallToken           = "hcloud:index/firewall:Firewall"
	FirewallAttachmentToken = "hcloud:index/firewallAttachment:FirewallAttachment"
)

// Prune deletes what a killed run created without the engine getting to know:
// everything that known, asked by type token and ID, denies. It is for a stack that
// is about to be destroyed; the next update of one that stays takes it over. It
// returns what it deleted, in words.
func (c *Cloud) Prune(ctx context.Context, known func(token, id string) bool) ([]string, error) {
	var unknown []*server
	err := c.store.view(func(st *state) error {
		for _, id := range slices.Sorted(maps.Keys(st.Servers)) {
			if !known(ServerToken, formatID(id)) {
				unknown = append(unknown, st.Servers[id])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var pruned []string
	for _, s := range unknown {
		if err := c.destroy(ctx, s); err != nil {
			return pruned, err
		}
		pruned = append(pruned, "server "+s.Name)
	}
	err = c.store.update(func(st *state) error {
		for _, id := range slices.Sorted(maps.Keys(st.PrimaryIPs)) {
			// The servers that are left keep theirs, known by itself or not.
			ip := st.PrimaryIPs[id]
			if ip.Assignee == 0 && !known(PrimaryIPToken, formatID(id)) {
				delete(st.PrimaryIPs, id)
				pruned = append(pruned, "primary IP "+ip.Name)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(st.SSHKeys)) {
			if !known(SSHKeyToken, formatID(id)) {
				pruned = append(pruned, "SSH key "+st.SSHKeys[id].Name)
				delete(st.SSHKeys, id)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(st.Firewalls)) {
			if !known(FirewallToken, formatID(id)) {
				pruned = append(pruned, "firewall "+st.Firewalls[id].Name)
				delete(st.Firewalls, id)
			}
		}
		return nil
	})
	return pruned, err
}
