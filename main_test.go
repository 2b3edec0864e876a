package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestHostIsNotLinked: what runs on hosts (Caddy, the engine's and systemd's clients) is no part
// of the Pulumi program, which would be built three times as long for nothing.
func TestHostIsNotLinked(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		if strings.HasPrefix(path, "github.com/caddyserver/") || path == "github.com/clawft/infra/host/proxy" {
			t.Errorf("the program imports %s", path)
		}
	}
}
