package pipeline

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clawft/infra/internal/sshkey"
)

// Host is a machine that runs the gateway: a server that the stack creates at
// Hetzner (`hcloud`), or an existing machine (`address`).
type Host struct {
	// Name of the host: an RFC 1123 label, unique in the stack. Required. A new
	// name is a new host: the old one is deleted.
	Name string `json:"name"`
	// A server that is created at Hetzner; `{}` takes all defaults.
	Hcloud *Hcloud `json:"hcloud"`
	// IP address or DNS name of an existing machine with Debian 12 or later, or
	// Ubuntu 22.04 or later.
	Address string `json:"address"`
	// SSH port of an existing machine. Default: 22.
	Port int `json:"port"`
	// User who logs in to an existing machine. Default: root; any other needs
	// sudo without a password.
	User string `json:"user"`
	// SSH host key of an existing machine, Ed25519 or ECDSA, as in
	// `ssh-keyscan -t ed25519 HOST` without the host's name. Required with
	// `address`.
	HostKey string `json:"hostKey"`
}

// Hcloud is a server at Hetzner.
type Hcloud struct {
	// Server type. A change resizes the server in place, with a reboot; a change
	// of the architecture (cax is arm64) is refused by Hetzner.
	Type string `json:"type" default:"cax11"`
	// Location. A change replaces the server, and with it the gateway's data.
	Location string `json:"location" default:"nbg1"`
	// Operating system image. A change replaces the server, and with it the
	// gateway's data.
	Image string `json:"image" default:"debian-12"`
}

// Platform is the platform of the server's images.
func (h Hcloud) Platform() string {
	if strings.HasPrefix(h.Type, "cax") {
		return arm64
	}
	return amd64
}

const (
	defaultSSHPort = 22
	defaultSSHUser = "root"
)

var (
	labelPattern      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsNamePattern    = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z][A-Za-z0-9-]*$`)
	userPattern       = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)
	serverTypePattern = regexp.MustCompile(`^[a-z]+[0-9]+$`)
	locationPattern   = regexp.MustCompile(`^[a-z]+[0-9]*$`)
	releasePattern    = regexp.MustCompile(`^(debian|ubuntu)-([0-9]+)(\.[0-9]+)?$`)
)

func checkHosts(r *report, path string, hosts []Host) {
	names, addresses := map[string]int{}, map[string]int{}
	for i, host := range hosts {
		at := elementPath(path, i)
		host.check(r, at)
		if first, found := names[host.Name]; found && host.Name != "" {
			r.wrong(at+".name", quote(host.Name)+", the name of "+elementPath(path, first), "a name that no other host has")
		} else {
			names[host.Name] = i
		}
		address := fmt.Sprint(strings.ToLower(host.Address), " ", host.Port)
		if first, found := addresses[address]; found && host.Address != "" {
			r.wrong(at+".address", quote(host.Address)+", the address of "+elementPath(path, first),
				"a machine that no other host is: one machine runs one gateway")
		} else {
			addresses[address] = i
		}
	}
}

func elementPath(path string, index int) string {
	return fmt.Sprintf("%s[%d]", path, index)
}

func (h Host) check(r *report, path string) {
	switch {
	case h.Name == "":
		r.wrong(path+".name", nothing, "a name for the host, such as gw-1")
	case !labelPattern.MatchString(h.Name):
		r.wrong(path+".name", quote(h.Name), "at most 63 lower-case letters, digits and -, not starting or ending with -")
	}
	switch {
	case h.Hcloud == nil && h.Address == "":
		r.wrong(path, "neither hcloud nor address", "hcloud for a server to create, or address for an existing machine")
	case h.Hcloud != nil && h.Address != "":
		r.wrong(path, "hcloud and address", "only one of them: hcloud for a server to create, or address for an existing machine")
	case h.Hcloud != nil:
		h.Hcloud.check(r, path+".hcloud")
		for _, key := range []string{"port", "user", "hostKey"} {
			if r.given[path+"."+key] {
				r.wrong(path+"."+key, "a value", "none with hcloud, where the pipeline sets it")
			}
		}
	default:
		h.checkMachine(r, path)
	}
}

func (h Host) checkMachine(r *report, path string) {
	if _, err := netip.ParseAddr(h.Address); err != nil && (!dnsNamePattern.MatchString(h.Address) || len(h.Address) > 253) {
		r.wrong(path+".address", quote(h.Address), "an IP address or a DNS name, without user and port")
	}
	if r.given[path+".port"] {
		r.between(path+".port", h.Port, 1, 65535, "")
	}
	if r.given[path+".user"] && !userPattern.MatchString(h.User) {
		r.wrong(path+".user", quote(h.User), "the name of a user who can log in by key")
	}
	checkHostKey(r, path+".hostKey", h.HostKey, h.Address)
}

func (h Hcloud) check(r *report, path string) {
	if !serverTypePattern.MatchString(h.Type) {
		r.wrong(path+".type", quote(h.Type), "a Hetzner server type, such as cax11 or cx23")
	}
	if !locationPattern.MatchString(h.Location) {
		r.wrong(path+".location", quote(h.Location), "a Hetzner location, such as nbg1 or hel1")
	}
	if _, err := strconv.Atoi(h.Image); err == nil { // a snapshot's ID
		return
	}
	release := releasePattern.FindStringSubmatch(h.Image)
	if release != nil {
		major, _ := strconv.Atoi(release[2]) // digits, says the pattern
		if oldest := map[string]int{"debian": 12, "ubuntu": 22}[release[1]]; major >= oldest {
			return
		}
	}
	r.wrong(path+".image", quote(h.Image), "debian-12 or later, ubuntu-22.04 or later, or the ID of a snapshot of one")
}

func checkHostKey(r *report, path, text, address string) {
	if text == "" {
		r.wrong(path, nothing, "the machine's SSH host key, one line such as \"ssh-ed25519 AAAA…\"; read it on the machine, from /etc/ssh/ssh_host_ed25519_key.pub, or verify what `ssh-keyscan -t ed25519 %s` prints",
			address)
		return
	}
	if _, refused := sshkey.Host(text); refused != nil {
		r.wrong(path, cmp.Or(refused.Given, quote(text)), "%s", refused.Want)
	}
}

// checkPlatforms demands an image for every server. The architecture of an
// existing machine shows only when it is reached.
func checkPlatforms(r *report, prefix string, hosts []Host, platforms []string) {
	for i, host := range hosts {
		if host.Hcloud == nil || !serverTypePattern.MatchString(host.Hcloud.Type) || slices.Contains(platforms, host.Hcloud.Platform()) {
			continue
		}
		r.wrong(elementPath(prefix+"hosts", i)+".hcloud.type",
			fmt.Sprintf("%s, which is %s", quote(host.Hcloud.Type), host.Hcloud.Platform()),
			"a server type for %s, or %s among %simage.platforms", strings.Join(platforms, ", "), host.Hcloud.Platform(), prefix)
	}
}

// complete fills in the defaults of an existing machine.
func (h *Host) complete() {
	if h.Hcloud != nil {
		return
	}
	if h.Port == 0 {
		h.Port = defaultSSHPort
	}
	if h.User == "" {
		h.User = defaultSSHUser
	}
	if line, refused := sshkey.Host(h.HostKey); refused == nil {
		h.HostKey = line
	}
}
