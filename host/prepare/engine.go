package prepare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ourPackages are those that are ever installed: the engine, the certificates that it knows registries by, and
// what it cannot start a container without where the kernel has AppArmor.
var ourPackages = []string{"docker.io", "ca-certificates", "apparmor"}

// engineUnits are the units by which an engine is known that does not answer.
const (
	dockerUnit = "docker.service"
	snapUnit   = "snap.docker.dockerd.service"
)

// engineTimeout is how long an engine may take to answer that was started.
const engineTimeout = 2 * time.Minute

// missing are the packages that a machine lacks. An engine that somebody installed another way is one.
func (h *Host) missing(ctx context.Context) []string {
	var found []string
	if units, err := h.List(ctx, []string{dockerUnit}); !h.answers(ctx) && (err != nil || !loaded(units, dockerUnit)) {
		found = append(found, "docker.io")
	}
	if _, err := os.Stat(h.path("/etc/ssl/certs/ca-certificates.crt")); err != nil {
		found = append(found, "ca-certificates")
	}
	if enabled, err := os.ReadFile(h.path("/sys/module/apparmor/parameters/enabled")); err == nil && strings.TrimSpace(string(enabled)) == "Y" {
		if _, err := os.Stat(h.path("/sbin/apparmor_parser")); err != nil {
			found = append(found, "apparmor")
		}
	}
	return found
}

func loaded(units []Unit, name string) bool {
	for _, unit := range units {
		if unit.Name == name && unit.Load != "not-found" {
			return true
		}
	}
	return false
}

func (h *Host) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := h.Engine.Ping(ctx)
	return err == nil
}

// refuseImpostors names what calls itself docker and is not the engine, before another one is put beside it.
func (h *Host) refuseImpostors(ctx context.Context, p *packages) error {
	if units, err := h.List(ctx, []string{snapUnit}); err == nil && loaded(units, snapUnit) {
		return errors.New("docker is a snap here, which sees nothing of /var/lib/clawft: remove it (snap remove docker), and the distribution's is installed")
	}
	if !h.answers(ctx) && p.status()["podman-docker"].state == "installed" {
		return errors.New("docker is Podman's here (package podman-docker): remove it (apt-get remove podman-docker), and Docker is installed")
	}
	return nil
}

// startEngine starts an engine that is there and does not answer.
func (h *Host) startEngine(ctx context.Context) error {
	if h.answers(ctx) {
		return nil
	}
	err := exec.CommandContext(ctx, "systemctl", "start", dockerUnit).Run()
	for deadline := time.Now().Add(engineTimeout); err == nil; {
		if h.answers(ctx) {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			err = context.Cause(ctx)
			break
		}
		time.Sleep(h.pause())
	}
	_, cause := h.Engine.Ping(ctx)
	return errors.Join(fmt.Errorf("the Docker engine does not answer, and docker.service does not start; see: journalctl -u docker: %w", cause), err)
}

func (h *Host) path(path string) string { return filepath.Join(h.Root, path) }
