package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Spec describes a machine to be created.
type Spec struct {
	// Name is the machine's host name, unique within the lab.
	Name string
	// InstanceID tells cloud-init a new machine from a rebooted one. Default:
	// Name.
	InstanceID string
	// IP is the machine's address; it must lie in the manager's network.
	IP netip.Addr
	// UserData is given to cloud-init as it is.
	UserData string
	// AuthorizedKeys are public SSH keys that the cloud gives to root.
	AuthorizedKeys []string
	// RegistryCAs are the certificates (PEM) of private authorities, by the
	// registry, "host:port", that they vouch for.
	RegistryCAs map[string]string
}

// hostname is RFC 1123's label: what can be one part of a host name.
var hostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Validate lists everything that is wrong with the spec of a machine on n.
func (s Spec) Validate(n Network) error {
	var wrong []error
	if !hostname.MatchString(s.Name) {
		wrong = append(wrong, fmt.Errorf("name %q is not a host name: use 1 to 63 of a-z, 0-9 and -, not starting or ending with -", s.Name))
	}
	if !n.Subnet.Contains(s.IP) || s.IP == n.Gateway() || s.IP == n.Subnet.Masked().Addr() {
		wrong = append(wrong, fmt.Errorf("address %s cannot be a machine's on network %s (%s, gateway %s)", s.IP, n.Name, n.Subnet, n.Gateway()))
	}
	return errors.Join(wrong...)
}

// digest changes whenever a machine made from the spec would differ.
func (s Spec) digest() (string, error) {
	content, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("hashing the spec of machine %s: %w", s.Name, err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])[:12], nil
}

// Machine is a machine as the engine sees it.
type Machine struct {
	Name string
	// ID is the container's.
	ID string
	IP netip.Addr
	// Running is false for a machine that was stopped or only half created.
	Running bool
	Started time.Time
	// spec is the digest of the Spec it was created from.
	spec string
}

// Container is the engine's name for the machine called name.
func (m *Manager) Container(name string) string { return m.network.Name + "-" + name }

func (m *Manager) volume(name string) string  { return m.Container(name) + "-docker" }
func (m *Manager) seedDir(name string) string { return filepath.Join(m.state, name) }

// flags make a container a machine. CAP_SYS_RESOURCE is left out, since a lab
// host that lacks it itself cannot give it away; without the unconfined
// profiles the machine could not run containers of its own.
var flags = []string{
	"--cgroupns=private",
	"--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
	"--security-opt", "seccomp=unconfined",
	"--security-opt", "apparmor=unconfined",
	"--security-opt", "systempaths=unconfined",
	"--device-cgroup-rule", "a *:* rwm",
	"--tmpfs", "/run:exec,mode=755",
	"--tmpfs", "/run/lock",
	"--tmpfs", "/tmp:exec,mode=1777",
	"--restart", "always",
	// systemd's "halt".
	"--stop-signal", "SIGRTMIN+3",
	"--stop-timeout", "20",
}

// Create starts a machine and returns its ID without waiting for it to boot.
// A machine of that name, made from the same spec, is left alone, or started if
// it was stopped; what an interrupted Create left behind is removed first. A
// machine made from another spec is an error: it is somebody's.
func (m *Manager) Create(ctx context.Context, s Spec) (string, error) {
	if err := s.Validate(m.network); err != nil {
		return "", fmt.Errorf("creating machine %s: %w", s.Name, err)
	}
	digest, err := s.digest()
	if err != nil {
		return "", err
	}
	old, err := m.Get(ctx, s.Name)
	if err != nil {
		return "", err
	}
	switch {
	case old == nil:
	case !old.Running && old.Started.IsZero():
		if err := m.Delete(ctx, s.Name); err != nil {
			return "", err
		}
	case old.spec == digest && old.Running:
		return old.ID, nil
	case old.spec == digest:
		if _, err := m.docker.run(ctx, "container", "start", m.Container(s.Name)); err != nil {
			return "", fmt.Errorf("starting machine %s: %w", s.Name, err)
		}
		return old.ID, nil
	default:
		return "", fmt.Errorf("creating machine %s: there is one already, made differently, as container %s; remove it with: docker rm -f -v %[2]s", s.Name, m.Container(s.Name))
	}

	// Another lab of the checkout may have gone down and taken the image along.
	if err := m.EnsureImage(ctx, func(string) {}); err != nil {
		return "", err
	}
	dir := m.seedDir(s.Name)
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clearing the seed of machine %s: %w", s.Name, err)
	}
	if err := s.writeSeed(dir); err != nil {
		return "", err
	}
	// A volume of its own: the machine's engine cannot put overlay2 on the
	// overlay that is the container's root.
	volume := m.volume(s.Name)
	if _, err := m.docker.run(ctx, append(m.labelled("volume", "create"), volume)...); err != nil {
		return "", fmt.Errorf("creating machine %s: %w", s.Name, err)
	}
	args := append(m.labelled("run", "--detach"), flags...)
	args = append(args,
		"--name", m.Container(s.Name), "--hostname", s.Name,
		"--label", Label+".machine="+s.Name, "--label", Label+".spec="+digest,
		"--network", m.network.Name, "--ip", s.IP.String(),
		"--mount", "type=volume,source="+volume+",target=/var/lib/docker",
		"--mount", "type=bind,source="+filepath.Join(dir, "nocloud")+",target=/var/lib/cloud/seed/nocloud,readonly",
		"--mount", "type=bind,source="+filepath.Join(dir, "certs.d")+",target=/etc/docker/certs.d,readonly",
		m.Image())
	id, err := m.docker.run(ctx, args...)
	if err != nil {
		// `docker run` leaves the container behind if only its start failed.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return "", errors.Join(fmt.Errorf("creating machine %s: %w", s.Name, err), m.Delete(cleanup, s.Name))
	}
	return id, nil
}

// Delete removes a machine with its disk. Deleting one that does not exist
// succeeds.
func (m *Manager) Delete(ctx context.Context, name string) error {
	if _, err := m.docker.run(ctx, "container", "rm", "--force", "--volumes", m.Container(name)); err != nil && !isNotFound(err) {
		return fmt.Errorf("deleting machine %s: %w", name, err)
	}
	if _, err := m.docker.run(ctx, "volume", "rm", "--force", m.volume(name)); err != nil && !isNotFound(err) {
		return fmt.Errorf("deleting the disk of machine %s: %w", name, err)
	}
	if err := os.RemoveAll(m.seedDir(name)); err != nil {
		return fmt.Errorf("deleting the seed of machine %s: %w", name, err)
	}
	return nil
}

// Restart reboots a machine and returns when it has been started again, which
// is before its services are up.
func (m *Manager) Restart(ctx context.Context, name string) error {
	if _, err := m.docker.run(ctx, "container", "restart", m.Container(name)); err != nil {
		return fmt.Errorf("rebooting machine %s: %w", name, err)
	}
	return nil
}

// Cut takes a machine's power away and gives it back: nothing on it gets to end.
// It returns when the machine has been started again, as Restart does.
func (m *Manager) Cut(ctx context.Context, name string) error {
	for _, step := range []string{"kill", "start"} {
		if _, err := m.docker.run(ctx, "container", step, m.Container(name)); err != nil {
			return fmt.Errorf("cutting the power of machine %s: %w", name, err)
		}
	}
	return nil
}

// Get returns the machine called name, or nil if there is none.
func (m *Manager) Get(ctx context.Context, name string) (*Machine, error) {
	found, err := m.inspect(ctx, m.Container(name))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for machine %s: %w", name, err)
	}
	return &found[0], nil
}

// List returns the lab's machines, sorted by name.
func (m *Manager) List(ctx context.Context) ([]Machine, error) {
	ids, err := m.docker.run(ctx, m.mine("container", "ls", "--all", "--quiet")...)
	if err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	if ids == "" {
		return nil, nil
	}
	found, err := m.inspect(ctx, strings.Fields(ids)...)
	if err != nil {
		return nil, fmt.Errorf("listing machines: %w", err)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}

func (m *Manager) inspect(ctx context.Context, containers ...string) ([]Machine, error) {
	out, err := m.docker.run(ctx, append([]string{"container", "inspect"}, containers...)...)
	if err != nil {
		return nil, err
	}
	var inspected []struct {
		ID    string `json:"Id"`
		State struct {
			Running   bool
			StartedAt time.Time
		}
		Config          struct{ Labels map[string]string }
		NetworkSettings struct {
			Networks map[string]struct {
				IPAMConfig *struct{ IPv4Address netip.Addr }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &inspected); err != nil {
		return nil, fmt.Errorf("reading the engine's answer: %w", err)
	}
	machines := make([]Machine, len(inspected))
	for i, c := range inspected {
		machines[i] = Machine{
			Name:    c.Config.Labels[Label+".machine"],
			ID:      c.ID,
			Running: c.State.Running,
			Started: c.State.StartedAt,
			spec:    c.Config.Labels[Label+".spec"],
		}
		if n, ok := c.NetworkSettings.Networks[m.network.Name]; ok && n.IPAMConfig != nil {
			machines[i].IP = n.IPAMConfig.IPv4Address
		}
	}
	return machines, nil
}
