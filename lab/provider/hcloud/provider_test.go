package hcloud

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/machine"
)

const (
	publicKey      = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBzTYV1V7yZ8Fj1rBqVQmT0xYQzJ3m7kH9b1hJ8mXk0V"
	otherPublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEEYVGuyfdSJXnJQdIZ3xo7T1LBk5FIYVoS5Wm0rE8nA"
)

// aHost creates what a host of the pipeline consists of.
type aHost struct {
	key, ip, firewall, server, attachment made
	serverInputs                          map[string]any
}

func id(m made) int {
	n, err := strconv.Atoi(m.id)
	if err != nil {
		panic(err)
	}
	return n
}

func createHost(e *engine) aHost {
	var h aHost
	h.key = e.mustCreate(SSHKeyToken, "gw-1-key", map[string]any{"name": "gw-1", "publicKey": publicKey})
	h.ip = e.mustCreate(PrimaryIPToken, "gw-1-ip", map[string]any{"name": "gw-1", "type": "ipv4", "location": "fsn1"})
	h.firewall = e.mustCreate(FirewallToken, "gw-1-firewall", map[string]any{"name": "gw-1", "rules": []map[string]any{
		{"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": []string{"0.0.0.0/0", "::/0"}},
		{"direction": "in", "protocol": "icmp", "sourceIps": []string{"192.0.2.7"}},
	}})
	h.serverInputs = map[string]any{
		"name": "gw-1", "serverType": "cx23", "image": "debian-12", "location": "fsn1",
		"sshKeys": []string{h.key.id}, "userData": "#cloud-config\n{}\n",
		"labels":     map[string]string{"env": "test"},
		"publicNets": []map[string]any{{"ipv4Enabled": true, "ipv4": id(h.ip), "ipv6Enabled": false}},
	}
	h.server = e.mustCreate(ServerToken, "gw-1-server", h.serverInputs)
	h.attachment = e.mustCreate(FirewallAttachmentToken, "gw-1-attachment", map[string]any{
		"firewallId": id(h.firewall), "serverIds": []int{id(h.server)},
	})
	return h
}

func TestHost(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)

	assert.Equal(t, "172.30.0.11", text(h.ip.state, "ipAddress"))
	assert.Equal(t, "172.30.0.11", text(h.server.state, "ipv4Address"))
	assert.Equal(t, "running", text(h.server.state, "status"))
	assert.Equal(t, 40, number(h.server.state, "primaryDiskSize"))
	assert.Empty(t, text(h.server.state, "ipv6Address"))
	spec := machines.specs["gw-1"]
	assert.Equal(t, "172.30.0.11", spec.IP.String())
	assert.Equal(t, "#cloud-config\n{}\n", spec.UserData)
	assert.Equal(t, []string{publicKey}, spec.AuthorizedKeys)
	assert.Equal(t, map[string]string{"172.30.0.1:5000": "CERTIFICATE"}, spec.RegistryCAs)
	assert.Equal(t, h.server.id, spec.InstanceID)

	// SHA-1, in base64, as terraform-provider-hcloud keeps it.
	assert.Equal(t, "fcp9g+yEeh+Od7Nuv3Hbnl5rfls=", text(h.server.state, "userData"), "hash of the user-data")
	recorded, err := os.ReadFile(cloud.options.StateFile)
	require.NoError(t, err)
	assert.NotContains(t, string(recorded), "cloud-config", "the cloud's file must not hold user-data: there is a host key in it")

	for _, m := range []*made{&h.key, &h.ip, &h.firewall, &h.server, &h.attachment} {
		before := m.inputs
		assert.True(t, e.refresh(m), m.token)
		assert.Equal(t, before, m.inputs, "a refresh without drift changes no inputs: %s", m.token)
	}
	assert.Equal(t, []int{id(h.firewall)}, numbers(h.server.state, "firewallIds"))
	assert.Equal(t, id(h.server), number(h.ip.state, "assigneeId"))
	rules := list(h.firewall.state, "rules")
	assert.Equal(t, []string{"192.0.2.7/32"}, texts(rules[1].AsMap(), "sourceIps"), "addresses are normalized")

	for _, m := range []made{h.attachment, h.server, h.firewall, h.ip, h.key} {
		require.NoError(t, e.delete(m))
		assert.NoError(t, e.delete(m), "deleting what is gone: %s", m.token)
		if m.token != FirewallAttachmentToken {
			assert.False(t, e.refresh(&m), m.token)
		}
	}
	assert.Empty(t, machines.specs)
}

// TestDiff is the table of what replaces, what is changed in place and what is
// no change at all.
func TestDiff(t *testing.T) {
	cloud, _ := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	const nothing, inPlace, replace = "nothing", "in place", "replace"

	ipInputs := map[string]any{"name": "gw-1", "type": "ipv4", "location": "fsn1"}
	keyInputs := map[string]any{"name": "gw-1", "publicKey": publicKey}
	firewallInputs := map[string]any{"name": "gw-1", "rules": []map[string]any{
		{"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": []string{"0.0.0.0/0", "::/0"}},
		{"direction": "in", "protocol": "icmp", "sourceIps": []string{"192.0.2.7"}},
	}}
	reordered := []map[string]any{
		{"direction": "in", "protocol": "icmp", "sourceIps": []string{"192.0.2.7"}},
		{"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": []string{"::/0", "0.0.0.0/0"}},
	}
	attachmentInputs := map[string]any{"firewallId": id(h.firewall), "serverIds": []int{id(h.server)}}

	for _, test := range []struct {
		what   string
		of     made
		inputs map[string]any
		want   string
	}{
		{"server: the same", h.server, h.serverInputs, nothing},
		{"server: userData", h.server, with(h.serverInputs, "userData", "#cloud-config\n{a: b}\n"), replace},
		{"server: userData, white space around it", h.server, with(h.serverInputs, "userData", "\n#cloud-config\n{}"), nothing},
		{"server: userData removed", h.server, with(h.serverInputs, "userData", nil), replace},
		{"server: image", h.server, with(h.serverInputs, "image", "debian-13"), replace},
		{"server: image no longer given", h.server, with(h.serverInputs, "image", nil), nothing},
		{"server: sshKeys", h.server, with(h.serverInputs, "sshKeys", []string{"other"}), replace},
		{"server: location", h.server, with(h.serverInputs, "location", "nbg1"), replace},
		{"server: location no longer given", h.server, with(h.serverInputs, "location", nil), nothing},
		{"server: datacenter", h.server, with(h.serverInputs, "datacenter", "nbg1-dc3"), replace},
		{"server: serverType", h.server, with(h.serverInputs, "serverType", "cx33"), inPlace},
		{"server: name", h.server, with(h.serverInputs, "name", "gw-2"), inPlace},
		{"server: labels", h.server, with(h.serverInputs, "labels", map[string]string{"env": "prod"}), inPlace},
		{"server: protection", h.server, with(h.serverInputs, "deleteProtection", true, "rebuildProtection", true), inPlace},
		{"server: backups", h.server, with(h.serverInputs, "backups", true), inPlace},
		{"server: publicNets", h.server, with(h.serverInputs, "publicNets", []map[string]any{{"ipv6Enabled": true}}), inPlace},
		{"server: publicNets no longer given", h.server, with(h.serverInputs, "publicNets", nil), nothing},
		{"server: firewallIds", h.server, with(h.serverInputs, "firewallIds", []int{1}), inPlace},
		{"primary IP: the same", h.ip, ipInputs, nothing},
		{"primary IP: type", h.ip, with(ipInputs, "type", "ipv6"), replace},
		{"primary IP: location", h.ip, with(ipInputs, "location", "nbg1"), replace},
		{"primary IP: name", h.ip, with(ipInputs, "name", "gw-2"), inPlace},
		{"primary IP: labels", h.ip, with(ipInputs, "labels", map[string]string{"a": "b"}), inPlace},
		{"primary IP: autoDelete", h.ip, with(ipInputs, "autoDelete", true), inPlace},
		{"primary IP: deleteProtection", h.ip, with(ipInputs, "deleteProtection", true), inPlace},
		{"SSH key: publicKey", h.key, with(keyInputs, "publicKey", otherPublicKey), replace},
		{"SSH key: name", h.key, with(keyInputs, "name", "gw-2"), inPlace},
		{"SSH key: labels", h.key, with(keyInputs, "labels", map[string]string{"a": "b"}), inPlace},
		{"firewall: rules", h.firewall, with(firewallInputs, "rules", reordered[:1]), inPlace},
		{"firewall: rules and their addresses in another order", h.firewall, with(firewallInputs, "rules", reordered), nothing},
		{"firewall: name", h.firewall, with(firewallInputs, "name", "gw-2"), inPlace},
		{"attachment: firewallId", h.attachment, with(attachmentInputs, "firewallId", 1), replace},
		{"attachment: serverIds", h.attachment, with(attachmentInputs, "serverIds", []int{1}), inPlace},
	} {
		t.Run(test.what, func(t *testing.T) {
			diff := e.diff(test.of, test.inputs)
			got := nothing
			if diff.HasChanges {
				got = inPlace
			}
			for _, change := range diff.DetailedDiff {
				if slices.Contains([]p.DiffKind{p.AddReplace, p.DeleteReplace, p.UpdateReplace}, change.Kind) {
					got = replace
				}
			}
			assert.Equal(t, test.want, got, "%+v", diff.DetailedDiff)
			if test.want == replace && test.of.token != FirewallAttachmentToken {
				assert.True(t, diff.DeleteBeforeReplace, "two resources cannot have one explicit name")
			}
		})
	}
}

func TestMadeUpNames(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	key := e.mustCreate(SSHKeyToken, "deploy", map[string]any{"publicKey": publicKey})
	assert.Regexp(t, `^deploy-[0-9a-f]{7}$`, text(key.state, "name"))
	diff := e.diff(key, map[string]any{"name": text(key.inputs, "name"), "publicKey": otherPublicKey})
	assert.False(t, diff.DeleteBeforeReplace, "the replacement gets a name of its own")
}

func TestServerIsRefused(t *testing.T) {
	for _, test := range []struct {
		what    string
		changes []any
		want    string
	}{
		{"unknown type", []any{"serverType", "cx99"}, "server type cx99 not found"},
		{"unknown image", []any{"image", "debian-1"}, "image debian-1 for architecture x86 not found"},
		{"no image", []any{"image", nil}, "image  for architecture x86 not found"},
		{"unknown location", []any{"location", "mars"}, `invalid input in field 'location' (invalid_input): [location => [location "mars" not found]]`},
		{"type not sold there", []any{"location", "ash"}, "unsupported location for server type (invalid_input)"},
		{"type no longer sold", []any{"serverType", "cx22"}, `server type "cx22" is unavailable in all locations and can no longer be ordered`},
		{"type no longer sold there", []any{"serverType", "cpx11"}, `server type "cpx11" is unavailable in "fsn1" and can no longer be ordered`},
		{"unknown key", []any{"sshKeys", []string{"mine"}}, "SSH key not found: mine"},
		{"name is no host name", []any{"name", "gw_1"}, `invalid input in field 'name' (invalid_input): [name => [server name "gw_1" is not a valid hostname as per RFC 1123]]`},
		{"name in use", []any{"name", "gw-1"}, "server name is already used (uniqueness_error)"},
		{"user-data too long", []any{"userData", strings.Repeat("x", 32769)}, "invalid input in field 'user_data' (invalid_input): [user_data => [user data has 32769 bytes, more than the allowed 32768]]"},
		{"half protected", []any{"deleteProtection", true}, "invalid input in field 'rebuild' (invalid_input): [rebuild => [delete and rebuild protection must have the same value]]"},
		{"unknown primary IP", []any{"publicNets", []map[string]any{{"ipv4": 7}}}, "primary IP with ID '7' not found (not_found)"},
		{"primary IP in use", []any{"publicNets", []map[string]any{{"ipv4": "THE IP"}}}, "primary ip is already assigned (primary_ip_assigned)"},
		{"unknown firewall", []any{"firewallIds", []int{7}}, "firewall with ID '7' not found (not_found)"},
		{"no IPv4 in a lab", []any{"publicNets", []map[string]any{{"ipv4Enabled": false}}}, "creating a server without IPv4: the lab's network has no IPv6 by which its machine could be reached"},
	} {
		t.Run(test.what, func(t *testing.T) {
			cloud, machines := newLab(t)
			e := newEngine(t, cloud)
			h := createHost(e)
			inputs := with(h.serverInputs, append([]any{"name", "gw-2", "publicNets", nil}, test.changes...)...)
			if nets, ok := inputs["publicNets"].([]map[string]any); ok && nets[0]["ipv4"] == "THE IP" {
				inputs["publicNets"] = []map[string]any{{"ipv4": id(h.ip)}}
			}
			before, err := os.ReadFile(cloud.options.StateFile)
			require.NoError(t, err)
			_, err = e.create(ServerToken, "gw-2-server", inputs)
			assert.EqualError(t, err, test.want)
			after, err := os.ReadFile(cloud.options.StateFile)
			require.NoError(t, err)
			assert.Equal(t, string(before), string(after), "nothing may be left of it")
			assert.Len(t, machines.specs, 1)
		})
	}
}

func TestOthersAreRefused(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	createHost(e)
	rule := func(changes ...any) []map[string]any {
		return []map[string]any{with(map[string]any{"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": []string{"::/0"}}, changes...)}
	}
	for _, test := range []struct {
		what, token string
		inputs      map[string]any
		want        string
	}{
		{"SSH key: name", SSHKeyToken, map[string]any{"name": "gw-1", "publicKey": otherPublicKey}, "SSH key name is already used (uniqueness_error)"},
		{"SSH key: the key itself", SSHKeyToken, map[string]any{"name": "gw-2", "publicKey": publicKey}, "SSH key with the same fingerprint already exists (uniqueness_error)"},
		{"SSH key: no key", SSHKeyToken, map[string]any{"name": "gw-2", "publicKey": "hello"}, "invalid input in field 'public_key' (invalid_input): [public_key => [SSH key is not valid: give one line as in an authorized_keys file]]"},
		{"primary IP: name", PrimaryIPToken, map[string]any{"name": "gw-1", "type": "ipv4", "location": "fsn1"}, "primary IP name is already used (uniqueness_error)"},
		{"primary IP: type", PrimaryIPToken, map[string]any{"name": "gw-2", "type": "ipv5", "location": "fsn1"}, "invalid input in field 'type' (invalid_input): [type => [must be one of ipv4, ipv6]]"},
		{"firewall: name", FirewallToken, map[string]any{"name": "gw-1"}, "name is already used (uniqueness_error)"},
		{"firewall: no port", FirewallToken, map[string]any{"name": "gw-2", "rules": rule("port", nil)}, "invalid input in field 'rules' (invalid_input): [rules => [port is required for the protocols tcp and udp]]"},
		{"firewall: no source", FirewallToken, map[string]any{"name": "gw-2", "rules": rule("sourceIps", nil)}, "invalid input in field 'rules' (invalid_input): [rules => [source_ips is required for direction in]]"},
		{"attachment: firewall", FirewallAttachmentToken, map[string]any{"firewallId": 7, "serverIds": []int{1}}, "firewall with ID '7' not found (not_found)"},
	} {
		t.Run(test.what, func(t *testing.T) {
			_, err := e.create(test.token, "second", test.inputs)
			assert.EqualError(t, err, test.want)
		})
	}
}

func TestCheck(t *testing.T) {
	cloud, _ := newLab(t)
	e := newEngine(t, cloud)
	server := map[string]any{"name": "gw-1", "serverType": "cx23", "image": "debian-12"}
	for _, test := range []struct {
		what, token string
		inputs      map[string]any
		want        []p.CheckFailure
	}{
		{"a good server", ServerToken, server, nil},
		{"unknown property", ServerToken, with(server, "size", "cx23"), []p.CheckFailure{{Property: "size", Reason: `unknown property "size", known are: allowDeprecatedImages, backups, datacenter, deleteProtection, firewallIds, ignoreRemoteFirewallIds, image, iso, keepDisk, labels, location, name, networks, placementGroupId, publicNets, rebuildProtection, rescue, serverType, shutdownBeforeDeletion, sshKeys, userData`}}},
		{"an output as input", ServerToken, with(server, "status", "running"), []p.CheckFailure{{Property: "status", Reason: `unknown property "status", known are: allowDeprecatedImages, backups, datacenter, deleteProtection, firewallIds, ignoreRemoteFirewallIds, image, iso, keepDisk, labels, location, name, networks, placementGroupId, publicNets, rebuildProtection, rescue, serverType, shutdownBeforeDeletion, sshKeys, userData`}}},
		{"no type", ServerToken, with(server, "serverType", nil), []p.CheckFailure{{Property: "serverType", Reason: `missing required property "serverType"`}}},
		{"another architecture", ServerToken, with(server, "serverType", "cax11"), []p.CheckFailure{{Property: "serverType", Reason: "cax11 has the architecture arm, but the machines of this lab have x86: use one of cpx11, ccx13, cpx22, cx23, cx33"}}},
		{"another system", ServerToken, with(server, "image", "ubuntu-24.04"), []p.CheckFailure{{Property: "image", Reason: "ubuntu-24.04 is not what the machines of this lab run: use debian-12"}}},
		{"empty image", ServerToken, with(server, "image", ""), []p.CheckFailure{{Property: "image", Reason: `"image" must have more than 0 characters. Have you set the name instead of an ID?`}}},
		{"bad label", ServerToken, with(server, "labels", map[string]string{"-a": "ok", "b": "not/ok"}), []p.CheckFailure{
			{Property: "labels", Reason: "label key '-a' is not correctly formatted"},
			{Property: "labels", Reason: "label value 'not/ok' (key: b) is not correctly formatted"},
		}},
		{"not simulated", ServerToken, with(server, "rescue", "linux64"), []p.CheckFailure{{Property: "rescue", Reason: "the lab's stand-in for Hetzner has no rescue"}}},
		{"primary IP nowhere", PrimaryIPToken, map[string]any{"type": "ipv4"}, []p.CheckFailure{{Property: "location", Reason: "exactly one of these attributes must be configured: [location,datacenter,assigneeId], got 0"}}},
		{"primary IP twice", PrimaryIPToken, map[string]any{"type": "ipv4", "location": "fsn1", "assigneeId": 1, "assigneeType": "server"}, []p.CheckFailure{{Property: "location", Reason: "exactly one of these attributes must be configured: [location,datacenter,assigneeId], got 2"}}},
		{"key without key", SSHKeyToken, map[string]any{}, []p.CheckFailure{{Property: "publicKey", Reason: `missing required property "publicKey"`}}},
		{"bad rules", FirewallToken, map[string]any{"rules": []map[string]any{
			{"direction": "inn", "protocol": "http"},
			{"direction": "in", "protocol": "tcp", "port": "22", "sourceIps": []string{"10.0.0.1/8", "everywhere"}},
		}}, []p.CheckFailure{
			{Property: "rules[0].direction", Reason: "inn is not a valid direction"},
			{Property: "rules[0].protocol", Reason: "http is not a valid protocol"},
			{Property: "rules[1].sourceIps", Reason: "10.0.0.1/8 is not the start of the cidr block 10.0.0.0/8"},
			{Property: "rules[1].sourceIps", Reason: "invalid CIDR address: everywhere"},
		}},
		{"attached to nothing", FirewallAttachmentToken, map[string]any{"firewallId": 1}, []p.CheckFailure{{Property: "serverIds", Reason: "no resources referenced: give serverIds or labelSelectors"}}},
	} {
		t.Run(test.what, func(t *testing.T) {
			_, got := e.check(test.token, "x", test.inputs)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestWarnings(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	ip := map[string]any{"type": "ipv4", "location": "fsn1"}
	server := map[string]any{"serverType": "cx23", "image": "debian-12", "location": "fsn1"}
	const datacenter = "The datacenter attribute is deprecated"
	for _, test := range []struct {
		what, token string
		inputs      map[string]any
		want        string
	}{
		{"an address", PrimaryIPToken, ip, ""},
		{"an address for something that is not named", PrimaryIPToken, with(ip, "assigneeType", "server"), "only required together with the assignee_id attribute"},
		{"an address for a server", PrimaryIPToken, with(ip, "location", nil, "assigneeType", "server", "assigneeId", 1), ""},
		{"an address in a datacenter", PrimaryIPToken, with(ip, "location", nil, "datacenter", "fsn1-dc14"), datacenter},
		{"a server", ServerToken, server, ""},
		{"a server in a datacenter", ServerToken, with(server, "location", nil, "datacenter", "fsn1-dc14"), datacenter},
	} {
		t.Run(test.what, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			t.Cleanup(func() { slog.SetDefault(before) })
			_, failures := e.check(test.token, "x", test.inputs)
			assert.Empty(t, failures)
			if test.want == "" {
				assert.Empty(t, log.String())
				return
			}
			assert.Contains(t, log.String(), "level=WARN")
			assert.Contains(t, log.String(), "::x verification warning: ")
			assert.Contains(t, log.String(), test.want)
		})
	}
}

func TestArmServerIsFineWithoutMachines(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	server := e.mustCreate(ServerToken, "gw-1", map[string]any{"name": "gw-1", "serverType": "cax11", "image": "ubuntu-24.04", "location": "hel1"})
	assert.Equal(t, "203.0.113.11", text(server.state, "ipv4Address"))
	assert.Regexp(t, `^2001:db8:.*::1$`, text(server.state, "ipv6Address"))
	assert.Regexp(t, `^2001:db8:.*::/64$`, text(server.state, "ipv6Network"))
}

func TestToken(t *testing.T) {
	t.Setenv("HCLOUD_TOKEN", "")
	provider := New(NewCloud(Options{}))
	for given, want := range map[string]string{
		"":      "configuring provider hcloud: no API token: set hcloud:token or HCLOUD_TOKEN",
		"short": "configuring provider hcloud: entered token is invalid (must be exactly 64 characters long)",
	} {
		err := provider.Configure(t.Context(), p.ConfigureRequest{Args: values(map[string]any{"token": given})})
		assert.EqualError(t, err, want)
	}
	t.Setenv("HCLOUD_TOKEN", token)
	assert.NoError(t, provider.Configure(t.Context(), p.ConfigureRequest{}))
}

func TestPreviewDoesNothing(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	got, err := e.p.Create(t.Context(), p.CreateRequest{
		Urn: urn(ServerToken, "gw-1"), DryRun: true,
		Properties: values(map[string]any{"name": "gw-1", "serverType": "cx23", "image": "debian-12"}),
	})
	require.NoError(t, err)
	assert.True(t, got.Properties.Get("ipv4Address").IsComputed())
	assert.True(t, got.Properties.Get("location").IsComputed())
	assert.Equal(t, "cx23", text(got.Properties, "serverType"))
	assert.Empty(t, machines.specs)
	assert.NoFileExists(t, cloud.options.StateFile)
}

func TestSecretUserDataStaysSecret(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	got, err := e.p.Create(t.Context(), p.CreateRequest{
		Urn: urn(ServerToken, "gw-1"),
		Properties: values(map[string]any{"name": "gw-1", "serverType": "cx23", "image": "debian-12"}).
			Set("userData", property.New("#cloud-config\n").WithSecret(true)),
	})
	require.NoError(t, err)
	assert.True(t, got.Properties.Get("userData").Secret())
}

func TestServerTypeChangesInPlace(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)

	require.NoError(t, e.update(&h.server, with(h.serverInputs, "labels", map[string]string{"env": "prod"})))
	assert.Zero(t, machines.cuts, "a label costs no reboot")

	require.NoError(t, e.update(&h.server, with(h.serverInputs, "serverType", "cx33", "keepDisk", true)))
	assert.Equal(t, 1, machines.cuts, "a new type does")
	assert.Equal(t, 40, number(h.server.state, "primaryDiskSize"), "the disk is kept")
	assert.Equal(t, "172.30.0.11", text(h.server.state, "ipv4Address"))

	require.NoError(t, e.update(&h.server, h.serverInputs))
	require.NoError(t, e.update(&h.server, with(h.serverInputs, "serverType", "cx33")))
	assert.Equal(t, 80, number(h.server.state, "primaryDiskSize"))
	assert.EqualError(t, e.update(&h.server, h.serverInputs), "server disk of 80 GB is larger than that of server type cx23, 40 GB (invalid_server_type)")
	assert.EqualError(t, e.update(&h.server, with(h.serverInputs, "serverType", "cax21")), "server type cax21 has the architecture arm, the server x86 (invalid_server_type)")
	assert.Equal(t, 3, machines.cuts, "a refusal costs none")
}

func TestAddressOfAMachineIsKept(t *testing.T) {
	cloud, _ := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	other := e.mustCreate(PrimaryIPToken, "other", map[string]any{"name": "other", "type": "ipv4", "location": "fsn1"})
	err := e.update(&h.server, with(h.serverInputs, "publicNets", []map[string]any{{"ipv4": id(other)}}))
	assert.ErrorIs(t, err, errRunning)
	assert.ErrorIs(t, e.delete(h.ip), errRunning)
	require.NoError(t, e.update(&h.server, with(h.serverInputs, "publicNets", []map[string]any{{"ipv4": id(h.ip), "ipv6Enabled": true}})))
	assert.NotEmpty(t, text(h.server.state, "ipv6Address"))
}

func TestAddressOfARecordedServerChanges(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	h := createHost(e)
	other := e.mustCreate(PrimaryIPToken, "other", map[string]any{"name": "other", "type": "ipv4", "location": "fsn1"})
	require.NoError(t, e.update(&h.server, with(h.serverInputs, "publicNets", []map[string]any{{"ipv4": id(other)}})))
	assert.Equal(t, "203.0.113.12", text(h.server.state, "ipv4Address"))
	require.NoError(t, e.delete(h.server))
	assert.True(t, e.refresh(&other), "a primary IP of its own outlives the server")
	assert.Zero(t, number(other.state, "assigneeId"))
}

func TestProtection(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	protected := with(h.serverInputs, "deleteProtection", true, "rebuildProtection", true)
	require.NoError(t, e.update(&h.server, protected))
	assert.EqualError(t, e.delete(h.server), "server deletion is protected (protected)")
	assert.Len(t, machines.specs, 1)
	require.NoError(t, e.update(&h.server, h.serverInputs))
	require.NoError(t, e.delete(h.server))

	require.NoError(t, e.update(&h.ip, map[string]any{"name": "gw-1", "type": "ipv4", "location": "fsn1", "deleteProtection": true}))
	assert.EqualError(t, e.delete(h.ip), "primary IP deletion is protected (protected)")
}

func TestReplacedServerKeepsItsAddress(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	require.NoError(t, e.delete(h.server))
	next := e.mustCreate(ServerToken, "gw-1-server", with(h.serverInputs, "userData", "#cloud-config\n{a: b}\n"))
	assert.NotEqual(t, h.server.id, next.id)
	assert.Equal(t, "172.30.0.11", text(next.state, "ipv4Address"))
	assert.Equal(t, next.id, machines.specs["gw-1"].InstanceID, "cloud-init takes it for a new machine")
}

func TestRefreshFindsDrift(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	require.NoError(t, cloud.store.update(func(st *state) error {
		st.Servers[id(h.server)].Labels = map[string]string{"env": "changed"}
		return nil
	}))
	require.True(t, e.refresh(&h.server))
	assert.Equal(t, map[string]string{"env": "changed"}, labels(h.server.inputs))
	assert.Equal(t, "#cloud-config\n{}\n", text(h.server.inputs, "userData"))

	delete(machines.specs, "gw-1")
	assert.False(t, e.refresh(&h.server), "its machine is gone")
	_, err := e.create(ServerToken, "gw-1-server", h.serverInputs)
	assert.NoError(t, err, "its name and address are free again")
}

func TestImport(t *testing.T) {
	cloud, _ := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	imported := made{token: ServerToken, name: "gw-1-server", id: h.server.id}
	require.True(t, e.refresh(&imported))
	assert.Equal(t, "gw-1", text(imported.inputs, "name"))
	assert.Equal(t, "cx23", text(imported.inputs, "serverType"))
}

// Whoever ordered something may be killed before he hears that it is there.
func TestNamesAreUnique(t *testing.T) {
	cloud, _ := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	for _, c := range []struct {
		token  string
		inputs map[string]any
		want   string
	}{
		{ServerToken, h.serverInputs, "server name is already used"},
		{PrimaryIPToken, map[string]any{"name": "gw-1", "type": "ipv4", "location": "fsn1"}, "primary IP name is already used"},
		{SSHKeyToken, map[string]any{"name": "gw-1", "publicKey": otherPublicKey}, "SSH key name is already used"},
		{SSHKeyToken, map[string]any{"name": "other", "publicKey": publicKey}, "SSH key with the same fingerprint already exists"},
		{FirewallToken, map[string]any{"name": "gw-1"}, "name is already used"},
	} {
		_, err := e.create(c.token, "again", c.inputs)
		assert.ErrorContains(t, err, c.want)
		assert.ErrorContains(t, err, "uniqueness_error")
	}
}

func TestOrderedServerIsFinished(t *testing.T) {
	t.Run("when the client is gone", func(t *testing.T) {
		cloud, machines := newLab(t)
		e := newEngine(t, cloud)
		h := createHost(e)
		require.NoError(t, e.delete(h.server))
		gone, leave := context.WithCancel(t.Context())
		leave()
		inputs, failures := e.check(ServerToken, "gw-1-server", h.serverInputs)
		require.Empty(t, failures)
		_, err := e.p.Create(gone, p.CreateRequest{Urn: urn(ServerToken, "gw-1-server"), Properties: inputs})
		require.NoError(t, err)
		assert.Len(t, machines.specs, 1)
	})
	t.Run("when the process that made it is gone", func(t *testing.T) {
		cloud, machines := newLab(t)
		e := newEngine(t, cloud)
		h := createHost(e)
		made := machines.specs["gw-1"]
		require.NoError(t, cloud.store.update(func(st *state) error {
			half := made
			half.RegistryCAs = nil
			st.Servers[id(h.server)].Ordered = &half
			return nil
		}))
		machines.specs["gw-1"] = machine.Spec{Name: "gw-1"}
		again := NewCloud(cloud.options)
		require.NoError(t, again.Resume(t.Context()))
		assert.Equal(t, map[string]machine.Spec{"gw-1": made}, machines.specs)
		require.NoError(t, again.Resume(t.Context()))
		_, err := e.create(ServerToken, "gw-1-server", h.serverInputs)
		assert.ErrorContains(t, err, "server name is already used")
	})
}

func TestFailedMachineLeavesNoServer(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	require.NoError(t, e.delete(h.server))
	machines.fail = fmt.Errorf("no space left on device")
	_, err := e.create(ServerToken, "gw-1-server", h.serverInputs)
	assert.EqualError(t, err, "no space left on device")
	machines.fail = nil
	_, err = e.create(ServerToken, "gw-1-server", h.serverInputs)
	assert.NoError(t, err)
}

func TestPrune(t *testing.T) {
	cloud, machines := newLab(t)
	e := newEngine(t, cloud)
	h := createHost(e)
	known := map[string]bool{}
	for _, m := range []made{h.key, h.ip, h.firewall} {
		known[m.token+m.id] = true
	}
	e.mustCreate(PrimaryIPToken, "lost", map[string]any{"name": "lost", "type": "ipv4", "location": "fsn1"})
	e.mustCreate(SSHKeyToken, "lost", map[string]any{"name": "lost", "publicKey": otherPublicKey})
	e.mustCreate(FirewallToken, "lost", map[string]any{"name": "lost"})

	got, err := cloud.Prune(t.Context(), func(token, id string) bool { return known[token+id] })
	require.NoError(t, err)
	assert.Equal(t, []string{"server gw-1", "primary IP lost", "SSH key lost", "firewall lost"}, got)
	assert.Empty(t, machines.specs)
	got, err = cloud.Prune(t.Context(), func(token, id string) bool { return known[token+id] })
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestManyHostsAtOnce(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	var wg sync.WaitGroup
	addresses := make([]string, 100)
	for i := range addresses {
		wg.Go(func() {
			name := fmt.Sprintf("gw-%d", i)
			ip := e.mustCreate(PrimaryIPToken, name, map[string]any{"name": name, "type": "ipv4", "location": "fsn1"})
			server := e.mustCreate(ServerToken, name, map[string]any{
				"name": name, "serverType": "cx23", "image": "debian-12", "location": "fsn1",
				"publicNets": []map[string]any{{"ipv4": id(ip), "ipv6Enabled": false}},
			})
			addresses[i] = text(server.state, "ipv4Address")
		})
	}
	wg.Wait()
	slices.Sort(addresses)
	assert.Len(t, slices.Compact(addresses), 100)
}

func TestFunctions(t *testing.T) {
	e := newEngine(t, NewCloud(Options{}))
	call := func(name string, args map[string]any) (property.Map, error) {
		got, err := e.p.Invoke(t.Context(), p.InvokeRequest{Token: tokens.Type("hcloud:index/" + name + ":" + name), Args: values(args)})
		require.Empty(t, got.Failures)
		return got.Return, err
	}
	cx23, err := call("getServerType", map[string]any{"name": "cx23"})
	require.NoError(t, err)
	assert.Equal(t, "x86", text(cx23, "architecture"))
	assert.False(t, flag(cx23, "isDeprecated", true))

	cx22, err := call("getServerType", map[string]any{"name": "cx22"})
	require.NoError(t, err)
	assert.True(t, flag(cx22, "isDeprecated", false))
	assert.Equal(t, unavailableAfter, text(cx22, "unavailableAfter"))

	_, err = call("getServerType", map[string]any{"name": "cx99"})
	assert.ErrorContains(t, err, `resource (server type) was not found: name="cx99"`)
	_, err = call("getServerType", map[string]any{})
	assert.ErrorContains(t, err, "exactly one of these attributes must be configured: [id,name]")

	types, err := call("getServerTypes", nil)
	require.NoError(t, err)
	assert.Len(t, list(types, "serverTypes"), len(serverTypes))
	assert.Contains(t, texts(types, "names"), "cax11")

	fsn1, err := call("getLocation", map[string]any{"name": "fsn1"})
	require.NoError(t, err)
	assert.Equal(t, "eu-central", text(fsn1, "networkZone"))
	places, err := call("getLocations", nil)
	require.NoError(t, err)
	assert.Len(t, list(places, "locations"), len(locations))

	debian, err := call("getImage", map[string]any{"name": "debian-12", "withArchitecture": "arm"})
	require.NoError(t, err)
	assert.Equal(t, "arm", text(debian, "architecture"))
	_, err = call("getImage", map[string]any{"name": "debian-1"})
	assert.ErrorContains(t, err, "resource (image) was not found")
}

func TestSelectors(t *testing.T) {
	have := map[string]string{"env": "prod", "role": ""}
	for selector, want := range map[string]bool{
		"env=prod": true, "env==prod": true, "env=dev": false, "env!=dev": true, "env!=prod": false,
		"role": true, "other": false, "env=prod,role": true, "env=prod,other": false,
	} {
		assert.Equal(t, want, matches(selector, have), selector)
	}
}
