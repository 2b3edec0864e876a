package hcloud

import (
	"context"
	"crypto/sha1" //nolint:gosec // what the real provider keeps in the state
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// maxUserData is the API's limit in bytes.
const maxUserData = 32 << 10

var errRunning = errors.New("changing a server's address: the lab's machines keep theirs; destroy the server first, or change nothing about its primary IP")

func (c *Cloud) serverResource() provider.Resource {
	return provider.Resource{
		Token:    ServerToken,
		Args:     hcloud.ServerArgs{},
		State:    &hcloud.Server{},
		AutoName: true,
		Replace:  []string{"userData", "image", "sshKeys", "location", "datacenter"},
		Volatile: []string{"status", "primaryDiskSize"},
		Check:    c.checkServer,
		Warn:     warnDatacenter,
		Diff: differ{
			sets:   []string{"publicNets", "firewallIds"},
			sticky: []string{"image", "location", "datacenter", "publicNets", "firewallIds"},
			same: func(name string, old, new property.Value) bool {
				return name == "userData" && old.IsString() && new.IsString() &&
					strings.TrimSpace(old.AsString()) == strings.TrimSpace(new.AsString())
			},
		}.diff,
		Create: c.createServer,
		Read:   c.readServer,
		Update: c.updateServer,
		Delete: c.deleteServer,
	}
}

// checkServer refuses what the real provider does, and what a lab cannot do:
// that is better known before anything is created.
func (c *Cloud) checkServer(ctx context.Context, inputs property.Map) []p.CheckFailure {
	failures := checkLabels(ctx, inputs)
	fail := func(property, format string, args ...any) {
		failures = append(failures, p.CheckFailure{Property: property, Reason: fmt.Sprintf(format, args...)})
	}
	if v := inputs.Get("image"); v.IsString() && v.AsString() == "" {
		fail("image", `"image" must have more than 0 characters. Have you set the name instead of an ID?`)
	}
	for i, v := range list(inputs, "sshKeys") {
		if v.IsString() && v.AsString() == "" {
			fail(fmt.Sprintf("sshKeys[%d]", i), "Invalid ssh key passed. You need to pass a string with at least 1 character")
		}
	}
	for _, name := range []string{"networks", "placementGroupId", "iso", "rescue"} {
		if v := inputs.Get(name); !v.IsNull() && !(v.IsArray() && v.AsArray().Len() == 0) {
			fail(name, "the lab's stand-in for Hetzner has no %s", name)
		}
	}
	if c.options.Machines == nil {
		return failures
	}
	here := apiArchitecture(c.options.Architecture)
	if t, ok := findServerType(text(inputs, "serverType")); ok && t.architecture != here {
		fail("serverType", "%s has the architecture %s, but the machines of this lab have %s: use one of %s",
			t.name, t.architecture, here, strings.Join(typesFor(here), ", "))
	}
	if name := text(inputs, "image"); name != "" {
		if i, ok := findImage(name, here); ok && i.name != machineImage {
			fail("image", "%s is not what the machines of this lab run: use %s", name, machineImage)
		}
	}
	return failures
}

// publicNet is the address part of a server's inputs. IDs are 0 if not given.
type publicNet struct {
	given              bool
	useIPv4, useIPv6   bool
	ipv4, ipv6         int
	ipv4Auto, ipv6Auto bool
}

func publicNetOf(inputs property.Map) publicNet {
	net := publicNet{useIPv4: true, useIPv6: true}
	for _, v := range list(inputs, "publicNets") {
		m := v.AsMap()
		net.given = true
		net.useIPv4, net.ipv4 = flag(m, "ipv4Enabled", true), number(m, "ipv4")
		net.useIPv6, net.ipv6 = flag(m, "ipv6Enabled", true), number(m, "ipv6")
	}
	net.useIPv4 = net.useIPv4 || net.ipv4 != 0
	net.useIPv6 = net.useIPv6 || net.ipv6 != 0
	net.ipv4Auto = net.useIPv4 && net.ipv4 == 0
	net.ipv6Auto = net.useIPv6 && net.ipv6 == 0
	return net
}

// hostname is RFC 1123's, as the API demands it of a server's name.
var hostname = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)

func (s *state) checkServerName(name string, but int) error {
	if !hostname.MatchString(name) {
		return invalid("name", fmt.Sprintf("server name %q is not a valid hostname as per RFC 1123", name))
	}
	for id, other := range s.Servers {
		if other.Name == name && id != but {
			return alreadyUsed("server name")
		}
	}
	return nil
}

func checkProtection(inputs property.Map) error {
	if flag(inputs, "deleteProtection", false) != flag(inputs, "rebuildProtection", false) {
		return invalid("rebuild", "delete and rebuild protection must have the same value")
	}
	return nil
}

// outputs are what the API says of a server, and the provider's defaults.
func (s *state) outputs(srv *server, status string, inputs property.Map) property.Map {
	m := map[string]any{
		"name": srv.Name, "serverType": srv.Type, "image": srv.Image, "location": srv.Location,
		"datacenter": text(inputs, "datacenter"),
		"labels":     srv.Labels, "status": status, "primaryDiskSize": srv.Disk,
		"firewallIds": s.firewallsOf(srv),
		"backups":     srv.Backups, "backupWindow": "",
		"deleteProtection": srv.Protected, "rebuildProtection": srv.Protected,
		"ipv4Address": "", "ipv6Address": "", "ipv6Network": "<nil>",
	}
	for _, name := range []string{"keepDisk", "shutdownBeforeDeletion", "ignoreRemoteFirewallIds"} {
		m[name] = flag(inputs, name, false)
	}
	if srv.Backups {
		m["backupWindow"] = "22-02"
	}
	if ip, ok := s.PrimaryIPs[srv.IPv4]; ok {
		m["ipv4Address"] = ip.Address.String()
	}
	if ip, ok := s.PrimaryIPs[srv.IPv6]; ok {
		m["ipv6Address"], m["ipv6Network"] = ip.Address.Next().String(), ip.prefix()
	}
	if userData := text(inputs, "userData"); userData != "" {
		m["userData"] = hash(userData)
	}
	return values(m)
}

// hash is what the state holds in the place of user-data.
func hash(userData string) string {
	sum := sha1.Sum([]byte(userData)) //nolint:gosec // not for security
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s *state) firewallsOf(srv *server) []int {
	ids := []int{}
	for _, id := range slices.Sorted(maps.Keys(s.Firewalls)) {
		f := s.Firewalls[id]
		if slices.Contains(f.Servers, srv.ID) ||
			slices.ContainsFunc(f.Selectors, func(selector string) bool { return matches(selector, srv.Labels) }) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *Cloud) readServer(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	id, err := parseID(r.ID)
	if err != nil {
		return inputs, outputs, false, err
	}
	srv, err := c.server(id)
	if err != nil || srv == nil {
		return inputs, outputs, false, err
	}
	status, err := c.status(ctx, srv)
	if err != nil {
		return inputs, outputs, false, err
	}
	if status == "" {
		// Somebody removed the machine behind the cloud's back.
		return inputs, outputs, false, c.destroy(ctx, srv)
	}
	err = c.store.view(func(st *state) error {
		outputs = st.outputs(srv, status, r.Inputs)
		return nil
	})
	// Not the user-data: of that the API tells nothing.
	names := []string{"name", "serverType", "image", "location", "labels", "backups", "deleteProtection", "rebuildProtection"}
	if !flag(r.Inputs, "ignoreRemoteFirewallIds", false) {
		names = append(names, "firewallIds")
	}
	return current(r, outputs, names...), outputs, err == nil, err
}

// server returns what is recorded, or nil.
func (c *Cloud) server(id int) (srv *server, err error) {
	err = c.store.view(func(st *state) error {
		srv = st.Servers[id]
		return nil
	})
	return srv, err
}

// status is that of the server's machine, or empty if that is gone.
func (c *Cloud) status(ctx context.Context, srv *server) (string, error) {
	if c.options.Machines == nil {
		return "running", nil
	}
	m, err := c.options.Machines.Get(ctx, srv.Machine)
	switch {
	case err != nil || m == nil:
		return "", err
	case !m.Running:
		return "off", nil
	}
	return "running", nil
}

func (c *Cloud) deleteServer(ctx context.Context, r provider.DeleteRequest) error {
	id, err := parseID(r.ID)
	if err != nil {
		return err
	}
	srv, err := c.server(id)
	switch {
	case err != nil || srv == nil:
		return err
	case srv.Protected:
		return isProtected("server")
	}
	return c.destroy(ctx, srv)
}

// destroy removes the machine, then the record, so that an interruption leaves
// a record by which it is found again.
func (c *Cloud) destroy(ctx context.Context, srv *server) error {
	if c.options.Machines != nil {
		if err := c.options.Machines.Delete(ctx, srv.Machine); err != nil {
			return err
		}
	}
	return c.store.update(func(st *state) error {
		for _, ip := range st.PrimaryIPs {
			if ip.Assignee == srv.ID {
				st.release(ip)
			}
		}
		for _, f := range st.Firewalls {
			f.Servers = slices.DeleteFunc(f.Servers, func(id int) bool { return id == srv.ID })
		}
		delete(st.Servers, srv.ID)
		return nil
	})
}
