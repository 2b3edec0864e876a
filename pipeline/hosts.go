package pipeline

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/internal/sshkey"
)

// Host is a machine that runs the gateway: a server that the stack creates at
// Hetzner (`hcloud`), or an existing machine (`address`).
type Host struct {
	// Name of the host: an RFC 1123 label, unique in the stack. Required. A new
	// name without `was` is a new host: the old one is deleted.
	Name string `json:"name"`
	// The host's name so far, when it is renamed: nothing of it is deleted or
	// created. Leave it out again after the next `pulumi up`.
	Was string `json:"was"`
	// Owner and gateway of a machine that is another stack's or another host's so
	// far, `ID/gateway` as the refusal prints them. The gateway's data come along.
	TakeOver string `json:"takeOver"`
	// True for a machine that is dead: nothing connects to it any more, the others
	// go on without it, and once the entry is gone it is forgotten. It may still run
	// its gateway, with all secrets.
	GiveUp bool `json:"giveUp"`
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
	// `address`. Another key is another machine: its gateway is removed from the old
	// one first.
	HostKey string `json:"hostKey"`
}

// Hcloud is a server at Hetzner.
type Hcloud struct {
	// Server type. A change resizes the server in place, with a reboot; a change
	// of the architecture (cax is arm64) is refused by Hetzner.
	Type string `json:"type" default:"cax11"`
	// Location. A change replaces the server and its address, and with them the
	// gateway's data.
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
	names, before := map[string]int{}, map[string]int{}
	for i, host := range hosts {
		at := elementPath(path, i)
		host.check(r, at)
		if first, found := names[host.Name]; found && host.Name != "" {
			r.wrong(at+".name", quote(host.Name)+", the name of "+elementPath(path, first), "a name that no other host has")
		} else {
			names[host.Name] = i
		}
	}
	for i, host := range hosts {
		if host.Was == "" {
			continue
		}
		at := elementPath(path, i) + ".was"
		if other, found := names[host.Was]; found {
			r.wrong(at, quote(host.Was)+", the name of "+elementPath(path, other), "the name that the host had, and that none has any more")
		} else if first, found := before[host.Was]; found {
			r.wrong(at, quote(host.Was)+", as "+elementPath(path, first)+".was", "the name that this host had, and no other")
		} else {
			before[host.Was] = i
		}
	}
	checkMachinesDiffer(r, path, hosts)
}

// checkMachinesDiffer demands that no two hosts are one machine, however its
// address is written. Nothing connects to one that is given up, and its address
// may be another machine's by now.
func checkMachinesDiffer(r *report, path string, hosts []Host) {
	addresses, keys := map[string]int{}, map[string]int{}
	for i, host := range hosts {
		if host.Hcloud != nil || host.Address == "" || host.GiveUp {
			continue
		}
		at := elementPath(path, i)
		address := host.endpoint()
		first, twice := addresses[address]
		if twice {
			r.wrong(at+".address", quote(host.Address)+", the address of "+elementPath(path, first),
				"a machine that no other host is: one machine runs one gateway")
		} else {
			addresses[address] = i
		}
		key, refused := sshkey.Host(host.HostKey)
		if refused != nil {
			continue
		}
		if first, found := keys[key]; !found {
			keys[key] = i
		} else if !twice {
			r.wrong(at+".hostKey", "the host key of "+elementPath(path, first),
				"a machine that no other host is, by whichever address: one machine runs one gateway, and has a host key of its own")
		}
	}
}

// endpoint is where the machine's SSH is, the same for all spellings of it.
func (h Host) endpoint() string {
	address := strings.ToLower(h.Address)
	if ip, err := netip.ParseAddr(address); err == nil {
		address = ip.Unmap().String()
	}
	port := h.Port
	if port == 0 {
		port = defaultSSHPort
	}
	return fmt.Sprint(address, " ", port)
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
	if h.Was != "" && !labelPattern.MatchString(h.Was) {
		r.wrong(path+".was", quote(h.Was), "the name that the host had, such as gw-1")
	}
	switch {
	case h.TakeOver == "":
	case h.GiveUp:
		r.wrong(path, "takeOver and giveUp", "only one of them: takeOver for a machine that shall run this host's gateway, giveUp for one that is dead")
	case !cloudinit.TakePattern.MatchString(h.TakeOver):
		r.wrong(path+".takeOver", quote(h.TakeOver), "an owner and a gateway as the refusal prints them, such as 0123456789abcdef/gw-1")
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
	if !isAddress(h.Address) {
		want := "an IP address or a DNS name, without user and port"
		if bare := strings.TrimSuffix(strings.Trim(h.Address, "[]"), "."); isAddress(bare) {
			want = bare
		}
		r.wrong(path+".address", quote(h.Address), "%s", want)
	}
	if r.given[path+".port"] {
		r.between(path+".port", h.Port, 1, 65535, "")
	}
	if r.given[path+".user"] && !userPattern.MatchString(h.User) {
		r.wrong(path+".user", quote(h.User), "the name of a user who can log in by key")
	}
	checkHostKey(r, path+".hostKey", h.HostKey, h.Address)
}

func isAddress(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return dnsNamePattern.MatchString(text) && len(text) <= 253
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
