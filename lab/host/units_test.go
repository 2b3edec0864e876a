package host

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/lab/machine"
)

// newMachine starts a machine with systemd, and returns its container's name.
func newMachine(t *testing.T) string {
	t.Helper()
	cache, err := filepath.Abs("../../.lab/cache")
	if err != nil {
		t.Fatal(err)
	}
	m, err := machine.New(machine.Options{
		Root: t.TempDir(), Cache: cache, Network: machine.Network{Name: "clawft-host-test", Subnet: netip.MustParsePrefix("172.30.6.0/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	clear := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.DownAll(ctx); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	}
	clear()
	t.Cleanup(clear)
	if err := m.EnsureImage(ctx, func(s string) { t.Log(s) }); err != nil {
		t.Fatal(err)
	}
	if err := m.EnsureNetwork(ctx); err != nil {
		t.Fatal(err)
	}
	address, err := m.Network().Address(11)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Create(ctx, machine.Spec{Name: "gw-1", IP: address, UserData: "#cloud-config\n{}\n"}); err != nil {
		t.Fatal(err)
	}
	name := m.Container("gw-1")
	for {
		out, err := exec.CommandContext(ctx, "docker", "exec", name, "systemctl", "is-active", "multi-user.target").CombinedOutput()
		if err == nil {
			return name
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the machine does not come up: %s", out)
		case <-time.After(time.Second):
		}
	}
}

// TestUnits lets a program that uses host/units look at a real systemd.
func TestUnits(t *testing.T) {
	program := filepath.Join(t.TempDir(), "unitcheck")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./unitcheck")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	name := newMachine(t)
	for _, command := range [][]string{
		{"cp", program, name + ":/usr/local/bin/clawft-host"},
		{"exec", name, "/usr/local/bin/clawft-host"},
	} {
		out, err := exec.CommandContext(t.Context(), "docker", command...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", strings.Join(command, " "), err, out)
		}
		if command[0] == "exec" && string(out) != "all is well\n" {
			t.Errorf("got %s", out)
		}
	}
}
