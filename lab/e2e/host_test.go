package e2e

import (
	"strings"
	"testing"

	cloudinit "github.com/clawft/infra/cloud-init"
)

// hostFiles has what the product puts on a host checked by the programs that
// read it there.
func hostFiles(t *testing.T) {
	config, err := cloudinit.CloudConfig(cloudinit.CloudConfigArgs{
		HostKeyPrivate: "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
		HostKeyPublic:  "ssh-ed25519 AAAA",
		Login:          "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ name, command, input string }{
		{"cloud-config", "sh -c 'cat >/run/cloud-config.yaml && cloud-init schema --config-file /run/cloud-config.yaml'", config},
		{"first boot", "cloud-init status --wait", ""},
		{"units", "sh -c 'cd /etc/systemd/system && systemd-analyze verify clawft.service clawft-proxy.service clawft-deploy@test.service'", ""},
		{"proxy config", "caddy validate --config /usr/local/lib/clawft/Caddyfile --adapter caddyfile", ""},
		{"no failed unit", "sh -c 'systemctl --failed --no-legend --plain; systemctl is-system-running'", ""},
	} {
		t.Run(check.name, func(t *testing.T) {
			output := tested.onHostWith(t, "gw-1", check.command, check.input)
			for _, sign := range []string{"error:", "Failed to", "Unknown key", "degraded"} {
				if strings.Contains(output, sign) {
					t.Errorf("%s finds fault:\n%s", check.command, output)
				}
			}
		})
	}
}
