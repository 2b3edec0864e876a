package network

import (
	"net/netip"
	"slices"
)

// Policy is what differs from host to host.
type Policy struct {
	// Users are the ids of the local users who may open connections to gateways, beside root: the proxy's.
	Users []uint32
	// Resolvers are the name servers that gateways may ask, even if they are the host's own or link-local.
	Resolvers []netip.Addr
}

// closed are the addresses outside of which a cloud tells its servers nothing: user-data and credentials
// are read there by whoever asks.
var closed = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),         // link-local; nearly every cloud
	netip.MustParsePrefix("fe80::/10"),              // link-local
	netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure's wire server
	netip.MustParsePrefix("fd00:ec2::254/128"),      // AWS
	netip.MustParsePrefix("fd20:ce::254/128"),       // Google Cloud
	netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle Cloud
}

// normal returns the policy in the one order that stands for it.
func (p Policy) normal() Policy {
	users := slices.Clone(p.Users)
	slices.Sort(users)
	var resolvers []netip.Addr
	for _, resolver := range p.Resolvers {
		// Docker asks a loopback address from the host itself, not from the container.
		if resolver.IsValid() && !resolver.IsLoopback() && !resolver.IsUnspecified() {
			resolvers = append(resolvers, resolver.WithZone("").Unmap())
		}
	}
	slices.SortFunc(resolvers, netip.Addr.Compare)
	return Policy{
		Users:     slices.Compact(users),
		Resolvers: slices.Compact(resolvers),
	}
}
