package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestResolvers(t *testing.T) {
	root := t.TempDir() + "/"
	if found := resolversOf(root); len(found) != 0 {
		t.Errorf("got %v of nothing", found)
	}
	for name, text := range map[string]string{
		"etc/resolv.conf":                  "# nameserver 192.0.2.9\nsearch example.com\nnameserver 127.0.0.53\nnameserver\nnameserver nonsense\noptions edns0",
		"run/systemd/resolve/resolv.conf":  "nameserver 185.12.64.1\nnameserver fe80::1%eth0\n\tnameserver  2a01:4ff:ff00::add:1  # Hetzner\n",
		"etc/docker/daemon.json":           `{"dns": ["172.17.0.1", "nonsense"], "log-driver": "journald"}`,
		"etc/docker/daemon.json.something": `{"dns": ["192.0.2.8"]}`,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	policy := Policy{Resolvers: resolversOf(root)}.normal()
	var got []string
	for _, address := range policy.Resolvers {
		got = append(got, address.String())
	}
	if want := []string{"172.17.0.1", "185.12.64.1", "2a01:4ff:ff00::add:1", "fe80::1"}; !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), strings.Join(want, " "))
	}
	if err := os.WriteFile(root+"etc/docker/daemon.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := resolversOf(root); slices.Contains(got, netip.MustParseAddr("172.17.0.1")) || len(got) != 4 {
		t.Errorf("got %v", got)
	}
}

// The order in which users and name servers are given makes no other table.
func TestFingerprint(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.2")
	fingerprint := func(p Policy) string {
		t.Helper()
		found, err := p.rules().fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	one := fingerprint(Policy{Users: []uint32{1, 2}, Resolvers: []netip.Addr{a, b}})
	same := fingerprint(Policy{Users: []uint32{2, 1, 2}, Resolvers: []netip.Addr{b, a, a.Unmap(), netip.MustParseAddr("::1"), {}}})
	if one != same {
		t.Errorf("got %s and %s for the same", one, same)
	}
	for _, other := range []Policy{{}, {Users: []uint32{1, 2}, Resolvers: []netip.Addr{a}}, {Users: []uint32{1}, Resolvers: []netip.Addr{a, b}}} {
		if fingerprint(other) == one {
			t.Errorf("%v: got the same as for another policy", other)
		}
	}
}
