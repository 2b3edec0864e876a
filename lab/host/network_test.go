package host

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/clawft/infra/host/network"
)

const (
	proxyUser = 10042
	otherUser = 10043
	// Where everybody in these tests listens.
	apiPort = 18789
	// What the host publishes of another container, as Docker does.
	publishedPort = 8443
)

var policy = network.Policy{
	Users:     []uint32{proxyUser},
	Resolvers: []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("169.254.169.253"), netip.MustParseAddr("127.0.0.53")},
}

// Places outside where clouds tell a server its secrets. The outside has them all.
var clouds = []string{
	"169.254.169.254", "169.254.42.42", "100.100.100.200", "168.63.129.16",
	"fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "fd00:c1::a9fe:a9fe",
}

// site is a host with two gateways, a container of somebody else's and a neighbour on its network, who
// has a route to every one of the host's bridges and is the way to the internet.
type site struct {
	host, gateway, second, container, outside *namespace
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{
		host: newNamespace(t, "host"), gateway: newNamespace(t, "gateway"), second: newNamespace(t, "second"),
		container: newNamespace(t, "container"), outside: newNamespace(t, "outside"),
	}
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		s.host.set(t, name, "1")
	}
	s.host.connect(t, "eth0", s.outside, "eth0")
	s.host.ip(t, "addr add 198.51.100.1/24 dev eth0", "addr add 2001:db8:100::1/64 dev eth0 nodad",
		"route add default via 198.51.100.2", "route add default via 2001:db8:100::2")
	s.outside.ip(t, "addr add 198.51.100.2/24 dev eth0", "addr add 2001:db8:100::2/64 dev eth0 nodad",
		"addr add 203.0.113.1/32 dev lo", "addr add 2001:db8:200::1/128 dev lo", "addr add 169.254.169.253/32 dev lo")
	for _, cloud := range clouds {
		s.outside.ip(t, "addr add "+cloud+" dev lo")
	}
	for n, inside := range []struct {
		*namespace
		bridge string
	}{{s.gateway, network.Bridge("clawft-one")}, {s.second, network.Bridge("clawft-two")}, {s.container, "clawft0"}} {
		port := fmt.Sprintf("veth%d", n)
		s.host.ip(t, "link add "+inside.bridge+" type bridge", "link set "+inside.bridge+" up",
			fmt.Sprintf("addr add 10.0.%d.1/24 dev %s", n, inside.bridge), fmt.Sprintf("addr add fd00:%d::1/64 dev %s nodad", n, inside.bridge))
		s.host.connect(t, port, inside.namespace, "eth0")
		s.host.ip(t, "link set "+port+" master "+inside.bridge)
		inside.ip(t, fmt.Sprintf("addr add 10.0.%d.2/24 dev eth0", n), fmt.Sprintf("addr add fd00:%d::2/64 dev eth0 nodad", n),
			fmt.Sprintf("route add default via 10.0.%d.1", n), fmt.Sprintf("route add default via fd00:%d::1", n))
		s.outside.ip(t, fmt.Sprintf("route add 10.0.%d.0/24 via 198.51.100.1", n), fmt.Sprintf("route add fd00:%d::/64 via 2001:db8:100::1", n))
	}
	for _, ns := range []*namespace{s.host, s.gateway, s.second, s.container, s.outside} {
		ns.serve(t, apiPort)
	}
	s.host.serve(t, 53)
	s.outside.serve(t, 53)
	s.host.do(t, publish)
	return s
}

// publish does what Docker does for "--publish 8443:18789" of the container, and lets everything pass that
// a firewall can let pass, before and after everybody else.
func publish() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "docker"})
	nat := conn.AddChain(&nftables.Chain{Name: "dnat", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
	conn.AddRule(&nftables.Rule{Table: table, Chain: nat, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(publishedPort)},
		&expr.Immediate{Register: 1, Data: []byte{10, 0, 2, 2}},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(apiPort)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	}})
	for n, hook := range []*nftables.ChainHook{nftables.ChainHookPrerouting, nftables.ChainHookForward, nftables.ChainHookOutput, nftables.ChainHookInput} {
		for m, priority := range []nftables.ChainPriority{-350, 0, 400} {
			chain := conn.AddChain(&nftables.Chain{Name: fmt.Sprintf("open-%d-%d", n, m), Table: table, Type: nftables.ChainTypeFilter,
				Hooknum: hook, Priority: &priority})
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}})
		}
	}
	return conn.Flush()
}

// way is one connection that somebody tries.
type way struct {
	from    *namespace
	user    int
	network string
	to      netip.AddrPort
	// answers is who answers while nothing is closed.
	answers string
	// open tells whether that stays so.
	open bool
}

func (w way) String() string {
	return fmt.Sprintf("%s, user %d, to %s %s of %s", w.from.name, w.user, w.network, w.to, w.answers)
}

// ways lists every connection between all that there are.
func (s *site) ways() []way {
	var all []way
	add := func(from *namespace, user int, to string, port int, answers string, open bool, networks ...string) {
		for _, network := range networks {
			all = append(all, way{from, user, network, netip.AddrPortFrom(netip.MustParseAddr(to), uint16(port)), answers, open})
		}
	}
	gateways := map[*namespace][]string{s.gateway: {"10.0.0.2", "fd00:0::2"}, s.second: {"10.0.1.2", "fd00:1::2"}}
	for gateway, addresses := range gateways {
		for _, address := range addresses {
			for _, from := range []*namespace{s.outside, s.container, s.gateway, s.second} {
				if from != gateway {
					add(from, 0, address, apiPort, gateway.name, false, "tcp", "udp")
				}
			}
			for user, open := range map[int]bool{0: true, proxyUser: true, otherUser: false} {
				add(s.host, user, address, apiPort, gateway.name, open, "tcp", "udp")
			}
		}
		// The internet, and what it is there for.
		for _, address := range []string{"203.0.113.1", "2001:db8:200::1", "198.51.100.2", "2001:db8:100::2"} {
			add(gateway, 0, address, apiPort, "outside", true, "tcp", "udp")
		}
		// The host, at every address that it has.
		for _, address := range []string{"198.51.100.1", "2001:db8:100::1", "10.0.0.1", "10.0.1.1", "10.0.2.1", "fd00:0::1", "fd00:1::1", "fd00:2::1"} {
			add(gateway, 0, address, apiPort, "host", false, "tcp", "udp")
		}
		for _, address := range []string{"198.51.100.1", "10.0.0.1", "10.0.1.1", "10.0.2.1"} {
			add(gateway, 0, address, publishedPort, "container", false, "tcp")
		}
		for _, address := range clouds {
			add(gateway, 0, address, apiPort, "outside", false, "tcp", "udp")
			add(gateway, 0, address, 53, "outside", false, "tcp", "udp")
		}
		// Name servers, for names only.
		add(gateway, 0, "198.51.100.1", 53, "host", true, "tcp", "udp")
		add(gateway, 0, "169.254.169.253", 53, "outside", true, "tcp", "udp")
		add(gateway, 0, "169.254.169.253", apiPort, "outside", false, "tcp", "udp")
	}
	// Nobody else is concerned.
	for _, from := range []*namespace{s.container, s.outside} {
		add(from, 0, "198.51.100.1", apiPort, "host", true, "tcp", "udp")
		add(from, 0, "10.0.2.1", apiPort, "host", true, "tcp", "udp")
	}
	add(s.outside, 0, "198.51.100.1", publishedPort, "container", true, "tcp")
	add(s.outside, 0, "fd00:2::2", apiPort, "container", true, "tcp", "udp")
	add(s.container, 0, "169.254.169.254", apiPort, "outside", true, "tcp", "udp")
	add(s.host, otherUser, "10.0.2.2", apiPort, "container", true, "tcp", "udp")
	add(s.host, otherUser, "169.254.169.254", apiPort, "outside", true, "tcp", "udp")
	return all
}

// try takes every way at once and returns those where somebody else answers than should.
func try(ways []way, want func(way) string) []string {
	var wrong []string
	var lock sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, 64)
	for _, w := range ways {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if got := w.from.ask(w.user, w.network, w.to); got != want(w) {
				lock.Lock()
				wrong = append(wrong, fmt.Sprintf("%s: %q answers, want %q", w, got, want(w)))
				lock.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(wrong)
	return wrong
}

func TestWays(t *testing.T) {
	s := newSite(t)
	ways := s.ways()
	open := func(w way) string { return w.answers }
	closed := func(w way) string {
		if w.open {
			return w.answers
		}
		return ""
	}
	if wrong := try(ways, open); len(wrong) > 0 {
		t.Fatalf("before anything is closed:\n%s", strings.Join(wrong, "\n"))
	}
	s.apply(t, policy, true)
	// Who is where has to be found out anew, as by a container that has just started.
	for _, ns := range []*namespace{s.host, s.gateway, s.second, s.container, s.outside} {
		ns.ip(t, "neigh flush all")
	}
	if wrong := try(ways, closed); len(wrong) > 0 {
		t.Errorf("with the packet filter:\n%s", strings.Join(wrong, "\n"))
	}
	s.apply(t, policy, false)
	s.host.do(t, network.Remove)
	if wrong := try(ways, open); len(wrong) > 0 {
		t.Errorf("after it was removed:\n%s", strings.Join(wrong, "\n"))
	}
	// What is not there is removed, too.
	s.host.do(t, network.Remove)
}

func (s *site) apply(t *testing.T, p network.Policy, want bool) {
	t.Helper()
	s.host.do(t, func() error {
		changed, err := network.Apply(p)
		if err == nil && changed != want {
			err = fmt.Errorf("changed: got %v, want %v", changed, want)
		}
		return err
	})
}

// Nothing gets through while one policy takes the place of another.
func TestExchange(t *testing.T) {
	s := newSite(t)
	s.apply(t, policy, true)
	to := netip.MustParseAddrPort(fmt.Sprintf("10.0.0.2:%d", apiPort))
	ctx, cancel := context.WithCancel(t.Context())
	var sent int
	var got string
	done := make(chan struct{})
	go s.outside.as(0, func() {
		defer close(done)
		conn, err := net.Dial("udp", to.String())
		if err != nil {
			return
		}
		defer conn.Close()
		buffer := make([]byte, 16)
		for ; ctx.Err() == nil; sent++ {
			conn.Write([]byte("?"))                                //nolint:errcheck // Read fails
			conn.SetReadDeadline(time.Now().Add(time.Microsecond)) //nolint:errcheck // Read fails
			if n, err := conn.Read(buffer); err == nil {
				got = string(buffer[:n])
			}
		}
	})
	other := network.Policy{Users: []uint32{otherUser}}
	for range 50 {
		s.apply(t, other, true)
		s.apply(t, policy, true)
	}
	cancel()
	<-done
	if got != "" || sent < 1000 {
		t.Errorf("of %d packets sent while the policy changed, one was answered by %q", sent, got)
	}
}

// What others do to the table, on purpose or with a reload of their firewall, is undone.
func TestGuard(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan string, 100)
	done := make(chan struct{})
	go s.host.as(0, func() {
		defer close(done)
		network.Guard(ctx, policy, func(message string) { said <- message })
	})
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: "clawft"}
	last := func(conn *nftables.Conn, chain string) (*nftables.Rule, error) {
		found, err := conn.GetRules(table, &nftables.Chain{Name: chain})
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("chain %s is empty", chain)
		}
		if err != nil {
			return nil, err
		}
		return found[len(found)-1], nil
	}
	accept := []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}}
	first := true
	for _, test := range []struct {
		name string
		do   func(conn *nftables.Conn) error
	}{
		{"nothing yet", func(*nftables.Conn) error { return nil }},
		{"the whole ruleset is flushed", func(conn *nftables.Conn) error { conn.FlushRuleset(); return nil }},
		{"the table is deleted", func(conn *nftables.Conn) error { conn.DelTable(table); return nil }},
		{"the table is emptied", func(conn *nftables.Conn) error { conn.FlushTable(table); return nil }},
		{"the table sleeps", func(*nftables.Conn) error { return sleep(table.Name) }},
		{"a chain is deleted", func(conn *nftables.Conn) error {
			chain := &nftables.Chain{Name: "forward", Table: table}
			conn.FlushChain(chain)
			conn.DelChain(chain)
			return nil
		}},
		{"a chain is added", func(conn *nftables.Conn) error {
			conn.AddChain(&nftables.Chain{Name: "mine", Table: table})
			return nil
		}},
		{"a rule is inserted", func(conn *nftables.Conn) error {
			conn.InsertRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Name: "forward", Table: table}, Exprs: accept})
			return nil
		}},
		{"a rule is replaced", func(conn *nftables.Conn) error {
			rule, err := last(conn, "forward")
			if err == nil {
				conn.ReplaceRule(&nftables.Rule{Table: table, Chain: rule.Chain, Handle: rule.Handle, Exprs: accept})
			}
			return err
		}},
		{"a rule is deleted", func(conn *nftables.Conn) error {
			rule, err := last(conn, "output")
			if err != nil {
				return err
			}
			return conn.DelRule(rule)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !first {
				s.host.do(t, func() error {
					conn, err := nftables.New()
					if err != nil {
						return err
					}
					if err := test.do(conn); err != nil {
						return err
					}
					return conn.Flush()
				})
				select {
				case message := <-said:
					if want := "the packet filter was changed or removed by somebody: it is back in place"; message != want {
						t.Errorf("said %q, want %q", message, want)
					}
				case <-time.After(5 * time.Second):
					t.Fatal("nothing was put back within 5 s")
				}
			}
			first = false
			for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				answer := s.outside.ask(0, "udp", netip.MustParseAddrPort(fmt.Sprintf("10.0.0.2:%d", apiPort)))
				if answer == "" {
					break
				}
				if time.Since(start) > 5*time.Second {
					t.Fatal("the gateway is open after 5 s")
				}
			}
			s.apply(t, policy, false)
		})
	}
	cancel()
	<-done
	if len(said) > 0 {
		t.Errorf("said without a cause: %s", <-said)
	}
}

// sleep does what "nft add table inet NAME { flags dormant; }" does.
func sleep(name string) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	message := func(kind int, data []byte) netlink.Message {
		return netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request}, Data: data}
	}
	attributes, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: []byte(name + "\x00")},
		{Type: unix.NFTA_TABLE_FLAGS, Data: binaryutil.BigEndian.PutUint32(1)},
	})
	if err != nil {
		return err
	}
	_, err = conn.SendMessages([]netlink.Message{
		message(unix.NFNL_MSG_BATCH_BEGIN, []byte{0, 0, 0, unix.NFNL_SUBSYS_NFTABLES}),
		message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, append([]byte{unix.NFPROTO_INET, 0, 0, 0}, attributes...)),
		message(unix.NFNL_MSG_BATCH_END, []byte{0, 0, 0, unix.NFNL_SUBSYS_NFTABLES}),
	})
	return err
}

// A wrong privilege is an error that says which is right.
func TestWithoutPrivilege(t *testing.T) {
	s := newSite(t)
	s.host.do(t, func() error {
		var none [2]unix.CapUserData
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			return err
		}
		if _, err := network.Apply(policy); err == nil || !strings.Contains(err.Error(), "it needs root, or CAP_NET_ADMIN") {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
}
