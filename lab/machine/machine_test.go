package machine

import (
	"net/netip"
	"testing"
)

func TestSpecValidate(t *testing.T) {
	good := Spec{Name: "gw-1", IP: netip.MustParseAddr("172.30.0.11")}
	for _, test := range []struct {
		name   string
		change func(*Spec)
		want   string
	}{
		{"good", func(*Spec) {}, ""},
		{"no name", func(s *Spec) { s.Name = "" }, `name "" is not a host name: use 1 to 63 of a-z, 0-9 and -, not starting or ending with -`},
		{"underscore", func(s *Spec) { s.Name = "gw_1" }, `name "gw_1" is not a host name: use 1 to 63 of a-z, 0-9 and -, not starting or ending with -`},
		{"no address", func(s *Spec) { s.IP = netip.Addr{} }, "address invalid IP cannot be a machine's on network clawft-lab (172.30.0.0/24, gateway 172.30.0.1)"},
		{"outside", func(s *Spec) { s.IP = netip.MustParseAddr("172.31.0.11") }, "address 172.31.0.11 cannot be a machine's on network clawft-lab (172.30.0.0/24, gateway 172.30.0.1)"},
		{"gateway", func(s *Spec) { s.IP = netip.MustParseAddr("172.30.0.1") }, "address 172.30.0.1 cannot be a machine's on network clawft-lab (172.30.0.0/24, gateway 172.30.0.1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := good
			test.change(&s)
			got := ""
			if err := s.Validate(DefaultNetwork); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestNetworkAddress(t *testing.T) {
	if got, err := DefaultNetwork.Address(11); err != nil || got != netip.MustParseAddr("172.30.0.11") {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := DefaultNetwork.Address(256); err == nil {
		t.Errorf("got %s, want an error: the network has 256 addresses", got)
	}
	if got := DefaultNetwork.Gateway(); got != netip.MustParseAddr("172.30.0.1") {
		t.Errorf("gateway: got %s", got)
	}
}
