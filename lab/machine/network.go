package machine

import (
	"context"
	"fmt"
	"net/netip"
)

// Network is the bridge that a lab's machines are attached to.
type Network struct {
	// Name is the engine's name for the network, and the prefix of every
	// container and volume of the lab.
	Name string
	// Subnet is the bridge's IPv4 network. The gateway address, which is the
	// hosting machine's own, is its first.
	Subnet netip.Prefix
}

// DefaultNetwork is the network of `lab up`. Tests that run beside it use
// networks of their own.
var DefaultNetwork = Network{Name: "clawft-lab", Subnet: netip.MustParsePrefix("172.30.0.0/24")}

// Gateway is the address at which machines reach the one that hosts the lab.
func (n Network) Gateway() netip.Addr { return n.Subnet.Masked().Addr().Next() }

// Address is the n-th address of the subnet: Address(11) of 172.30.0.0/24 is
// 172.30.0.11.
func (n Network) Address(i int) (netip.Addr, error) {
	a := n.Subnet.Masked().Addr()
	for range i {
		a = a.Next()
	}
	if !n.Subnet.Contains(a) {
		return netip.Addr{}, fmt.Errorf("network %s (%s) has no address number %d", n.Name, n.Subnet, i)
	}
	return a, nil
}

// Network returns the network that this manager's machines are attached to.
func (m *Manager) Network() Network { return m.network }

// EnsureNetwork creates the bridge network if there is none.
func (m *Manager) EnsureNetwork(ctx context.Context) error {
	n := m.network
	got, err := m.docker.run(ctx, "network", "inspect", "--format",
		`{{index .Labels "`+Label+`"}} {{range .IPAM.Config}}{{.Subnet}}{{end}}`, n.Name)
	switch {
	case isNotFound(err):
		_, err := m.docker.run(ctx, append(m.labelled("network", "create", "--driver", "bridge",
			"--subnet", n.Subnet.Masked().String(), "--gateway", n.Gateway().String()), n.Name)...)
		if err != nil {
			return fmt.Errorf("creating network %s (%s): %w", n.Name, n.Subnet, err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("looking for network %s: %w", n.Name, err)
	case got != m.checkout+" "+n.Subnet.Masked().String():
		return fmt.Errorf("network %s exists, but is not this lab's: it probably belongs to another checkout; run `go run ./lab down` there, or remove it with: docker network rm %s", n.Name, n.Name)
	}
	return nil
}
