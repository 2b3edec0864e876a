package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/lab/site"
)

// hostDrift runs the nightly check of the machines, as drift.yml does, and
// changes things on one of them that no refresh can see.
func hostDrift(t *testing.T) {
	if output, err := checkHosts(t); err != nil || strings.Count(output, ", healthy, as deployed") != 2 {
		t.Fatalf("machines that nobody touched: %v\n%s", err, output)
	}
	for _, test := range []struct {
		name, drift, repair string
		wanted              string
	}{
		{"a stopped gateway", "systemctl stop clawft", "systemctl start clawft", "gw-1: clawft.service is inactive"},
		{"a gateway that would not start after a reboot", "systemctl disable clawft", "systemctl enable clawft",
			"gw-1: clawft.service is disabled and would not start after a reboot"},
		{"an edited script", "sh -c 'cp -a /usr/local/lib/clawft/deploy /root/deploy && echo true >>/usr/local/lib/clawft/deploy'",
			"mv /root/deploy /usr/local/lib/clawft/deploy", "gw-1: /usr/local/lib/clawft/deploy is not what this repository puts there"},
		{"held requests", "touch /run/clawft/hold", "rm /run/clawft/hold", "gw-1: a deployment is under way, or ended halfway"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tested.onHost(t, "gw-1", test.drift)
			output, err := checkHosts(t)
			tested.onHost(t, "gw-1", test.repair)
			if err == nil {
				t.Errorf("nobody noticed:\n%s", output)
			}
			wantContains(t, output, "::error::"+test.wanted, "gw-2: ")
		})
	}
	tested.eventually(t, first, 30*time.Second)
	if output, err := checkHosts(t); err != nil {
		t.Errorf("machines that were put back: %v\n%s", err, output)
	}
}

// checkHosts runs the check with a pulumi that knows the lab's SSH key only.
func checkHosts(t *testing.T) (string, error) {
	t.Helper()
	gateways := map[string]site.Gateway{}
	for _, host := range tested.hosts(t).All() {
		gateways[host.Name] = host
	}
	outputs, err := json.Marshal(map[string]any{"version": first, "gateways": gateways})
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	key := filepath.Join(site.Dir(tested.root, labName), "ssh", "id_ed25519")
	if err := os.WriteFile(filepath.Join(bin, "pulumi"), []byte("#!/bin/sh\ncat '"+key+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	check := exec.Command("bash", ".github/scripts/check-hosts.sh", "lab", string(outputs))
	check.Dir = tested.root
	check.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	output, err := check.CombinedOutput()
	return string(output), err
}
