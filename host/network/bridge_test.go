package network

import (
	"strings"
	"testing"
)

func TestBridge(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"clawft-a", "clawft-a-preflight", "clawft-b", "clawft-" + strings.Repeat("x", 63)} {
		bridge := Bridge(name)
		// IFNAMSIZ is 16, with the end.
		if len(bridge) != 15 || !strings.HasPrefix(bridge, Prefix) || bridge != Bridge(name) {
			t.Errorf("%s: got %q", name, bridge)
		}
		if other := seen[bridge]; other != "" {
			t.Errorf("%s and %s have the same bridge %s", name, other, bridge)
		}
		seen[bridge] = name
	}
}
