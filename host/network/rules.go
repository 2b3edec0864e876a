package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleset is the content of the table.
type ruleset []chain

type chain struct {
	name     string
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	rules    []rule
}

// rule is one line of a chain. What it is for stands in the table, as its comment.
type rule struct {
	comment string
	exprs   []expr.Any
}

// rules returns what a host with the policy has.
func (p Policy) rules() ruleset {
	p = p.normal()

	// Before the address of a packet is changed (Docker's published ports), and with the connection
	// known: what is meant for one of the host's addresses is for the host, wherever it would end.
	from := chain{name: "from", hook: nftables.ChainHookPrerouting, priority: *nftables.ChainPriorityMangle}
	from.add("not a gateway's", otherInterface(expr.MetaKeyIIFNAME), accept)
	from.rules = append(from.rules, replies()...)
	from.rules = append(from.rules, neighbourDiscovery()...)
	for _, resolver := range p.Resolvers {
		for _, protocol := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			from.add(fmt.Sprintf("names, asked of %s", resolver),
				to(netip.PrefixFrom(resolver, resolver.BitLen())), transport(protocol), port(53), accept)
		}
	}
	for _, prefix := range closed {
		from.add("closed: "+prefix.String(), to(prefix), drop)
	}
	for _, kind := range []struct {
		name  string
		value uint32
	}{{"the host", unix.RTN_LOCAL}, {"broadcast", unix.RTN_BROADCAST}, {"anycast", unix.RTN_ANYCAST}, {"multicast", unix.RTN_MULTICAST}} {
		from.add("closed: "+kind.name, addressType(kind.value), drop)
	}

	// A little before the usual priority of filters, so that counters there count what really passes.
	const beforeFilter = -10
	forward := chain{name: "forward", hook: nftables.ChainHookForward, priority: beforeFilter}
	forward.add("not to a gateway", otherInterface(expr.MetaKeyOIFNAME), accept)
	forward.rules = append(forward.rules, replies()...)
	forward.add("nobody else", drop)

	output := chain{name: "output", hook: nftables.ChainHookOutput, priority: beforeFilter}
	output.add("not to a gateway", otherInterface(expr.MetaKeyOIFNAME), accept)
	output.rules = append(output.rules, replies()...)
	output.rules = append(output.rules, neighbourDiscovery()...)
	for _, user := range slices.Concat([]uint32{0}, p.Users) {
		output.add(fmt.Sprintf("user %d", user), sender(user), accept)
	}
	output.add("nobody else", drop)

	return ruleset{from, forward, output}
}

// fingerprint tells one ruleset from another, also from one that another version of this program made.
func (r ruleset) fingerprint() (string, error) {
	sum := sha256.New()
	for _, chain := range r {
		fmt.Fprintf(sum, "%s %d %d\n", chain.name, *chain.hook, chain.priority)
		for _, rule := range chain.rules {
			fmt.Fprintf(sum, "%s\n", rule.comment)
			for _, e := range rule.exprs {
				data, err := expr.Marshal(unix.NFPROTO_INET, e)
				if err != nil {
					return "", fmt.Errorf("encoding the packet filter's rule %q: %w", rule.comment, err)
				}
				sum.Write(data)
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:4]), nil
}

func (c *chain) add(comment string, parts ...[]expr.Any) {
	r := rule{comment: comment}
	for _, part := range parts {
		r.exprs = append(r.exprs, part...)
	}
	c.rules = append(c.rules, r)
}

var (
	accept = []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	drop   = []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}
)

// equal compares what an expression before it has put into register 1; of a name, its beginning.
func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

// otherInterface matches packets that come from, or go to, no gateway's bridge.
func otherInterface(key expr.MetaKey) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte(Prefix)},
	}
}

// replies lets pass what belongs to a connection that was let through, and errors about it. Nothing else
// that is "related": a connection that a peer announces within another one is a new one here.
func replies() []rule {
	var c chain
	c.add("replies", connection(expr.CtStateBitESTABLISHED), accept)
	for _, protocol := range []byte{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6} {
		c.add("errors", connection(expr.CtStateBitRELATED), transport(protocol), accept)
	}
	return c.rules
}

// connection matches by the state that the kernel tracks.
func connection(state uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(state), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// neighbourDiscovery lets IPv6 find the other end of the bridge: without it, there is none.
func neighbourDiscovery() []rule {
	var c chain
	for _, kind := range []byte{
		133, // router solicitation
		134, // router advertisement
		135, // neighbour solicitation
		136, // neighbour advertisement
	} {
		c.add("neighbour discovery", transport(unix.IPPROTO_ICMPV6), []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
			equal([]byte{kind}),
		}, accept)
	}
	return c.rules
}

func transport(protocol byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{protocol})}
}

// port matches the destination port of TCP and UDP.
func port(number uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equal(binaryutil.BigEndian.PutUint16(number)),
	}
}

// to matches the destination address.
func to(prefix netip.Prefix) []expr.Any {
	family, offset := byte(unix.NFPROTO_IPV4), uint32(16)
	if prefix.Addr().Is6() {
		family, offset = unix.NFPROTO_IPV6, 24
	}
	address := prefix.Masked().Addr().AsSlice()
	mask := make([]byte, len(address))
	for bit := range prefix.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	size := uint32(len(address))
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: mask, Xor: make([]byte, size)},
		equal(address),
	}
}

// addressType matches by what the routing table says about the destination.
func addressType(kind uint32) []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
		equal(binaryutil.NativeEndian.PutUint32(kind)),
	}
}

// sender matches by the user whose process has the socket.
func sender(user uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeySKUID, Register: 1},
		equal(binaryutil.NativeEndian.PutUint32(user)),
	}
}
