package site

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// healthTimeout bounds one question to a gateway, SSH login included.
const healthTimeout = 20 * time.Second

// Hosts are the hosts of a lab as its last deployment left them. Reading them
// needs no opened site.
type Hosts struct {
	dir string
	all []Gateway
}

// LoadHosts reads what the last deployment of a lab noted.
func LoadHosts(root, name string) (*Hosts, error) {
	dir := Dir(root, name)
	content, err := os.ReadFile(filepath.Join(dir, "hosts.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("nothing is deployed here; run: go run ./lab up")
	}
	hosts := &Hosts{dir: dir}
	if err == nil {
		err = json.Unmarshal(content, &hosts.all)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lab's hosts: %w", err)
	}
	return hosts, nil
}

// noteHosts records the hosts of a deployment and the host keys that SSH trusts.
func (s *Site) noteHosts(gateways []Gateway) error {
	content, err := json.MarshalIndent(gateways, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the lab's hosts: %w", err)
	}
	var known strings.Builder
	for _, gateway := range gateways {
		fmt.Fprintf(&known, "%s %s\n", gateway.Address, gateway.HostKey)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "ssh", "known_hosts"), []byte(known.String()), 0o600); err != nil {
		return fmt.Errorf("noting the hosts' keys: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "hosts.json"), content, 0o600); err != nil {
		return fmt.Errorf("noting the lab's hosts: %w", err)
	}
	return nil
}

// All are the hosts, by name.
func (h *Hosts) All() []Gateway { return h.all }

// Get returns the host of a name.
func (h *Hosts) Get(name string) (Gateway, error) {
	at := slices.IndexFunc(h.all, func(g Gateway) bool { return g.Name == name })
	if at < 0 {
		var names []string
		for _, gateway := range h.all {
			names = append(names, gateway.Name)
		}
		return Gateway{}, fmt.Errorf("there is no host %q; there are: %s", name, strings.Join(names, ", "))
	}
	return h.all[at], nil
}

// SSH is the command line that runs a command on a host, with its host key
// checked; without a command it logs in.
func (h *Hosts) SSH(host Gateway, options ...string) []string {
	line := []string{
		"ssh", "-i", filepath.Join(h.dir, "ssh", "id_ed25519"),
		"-o", "IdentitiesOnly=yes",
		"-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile=" + filepath.Join(h.dir, "ssh", "known_hosts"),
	}
	return append(append(line, options...), host.User+"@"+host.Address)
}

// Run runs a command on a host, as root, and returns what it printed.
func (h *Hosts) Run(ctx context.Context, host Gateway, command string) (string, error) {
	if host.User != "root" {
		command = "sudo -n " + command
	}
	line := append(h.SSH(host, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"), "--", command)
	ssh := exec.CommandContext(ctx, line[0], line[1:]...)
	var stderr bytes.Buffer
	ssh.Stderr = &stderr
	output, err := ssh.Output()
	if err != nil {
		return string(output), fmt.Errorf("running %q on %s: %w: %s", command, host.Name, err, strings.TrimSpace(stderr.String()))
	}
	return string(output), nil
}

// Health is what a gateway says of itself.
type Health struct {
	Status        string `json:"status"`
	Version       string `json:"version"`
	UptimeSeconds int    `json:"uptime_secs"`
}

// Word is "healthy", or what the gateway says instead.
func (h Health) Word() string {
	if h.Status == "ok" {
		return "healthy"
	}
	return h.Status
}

// Health asks the gateway of a host, through the proxy that its users reach.
func (h *Hosts) Health(ctx context.Context, host Gateway) (Health, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	answer, err := h.Run(ctx, host, "curl --silent --show-error --fail --max-time 10 http://127.0.0.1:8080/api/health")
	if err != nil {
		return Health{}, err
	}
	var health Health
	if err := json.Unmarshal([]byte(answer), &health); err != nil {
		return Health{}, fmt.Errorf("reading the health of %s: %w: %s", host.Name, err, answer)
	}
	return health, nil
}
