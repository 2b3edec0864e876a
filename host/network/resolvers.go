package network

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
)

// Resolvers returns the name servers that the host's containers ask: those of the host, those behind
// systemd-resolved and those that the engine is configured with.
func Resolvers() []netip.Addr {
	return resolversOf("/")
}

// resolversOf reads the files below root. What is not there, or cannot be read, names none.
func resolversOf(root string) []netip.Addr {
	var found []netip.Addr
	add := func(text string) {
		if address, err := netip.ParseAddr(text); err == nil {
			found = append(found, address)
		}
	}
	for _, name := range []string{"etc/resolv.conf", "run/systemd/resolve/resolv.conf"} {
		data, err := os.ReadFile(root + name)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(data) {
			if fields := strings.Fields(string(line)); len(fields) >= 2 && fields[0] == "nameserver" {
				add(fields[1])
			}
		}
	}
	var engine struct {
		DNS []string `json:"dns"`
	}
	if data, err := os.ReadFile(root + "etc/docker/daemon.json"); err == nil && json.Unmarshal(data, &engine) == nil {
		for _, address := range engine.DNS {
			add(address)
		}
	}
	return found
}
