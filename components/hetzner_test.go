package components

import (
	"maps"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

// importsOf registers a host where a Hetzner project has these things, and the last
// update knew those. It returns which are to be imported, by the resource.
func importsOf(t *testing.T, r *recorder.Recorder, project map[string][]map[string]any, known map[string]string) map[string]string {
	t.Helper()
	r.Functions[getServerTypes] = catalogue
	for kind, function := range map[string]string{"servers": getServers, "primaryIps": getPrimaryIPs, "sshKeys": getSSHKeys, "firewalls": getFirewalls} {
		var all []any
		for _, one := range project[kind] {
			all = append(all, one)
		}
		r.Functions[function] = lists(kind, all...)
	}
	mustRun(t, r, func(ctx *pulumi.Context) error {
		providers, err := NewProviders(ctx, &ProvidersArgs{Hcloud: &HcloudProviderArgs{}})
		if err != nil {
			return err
		}
		hetzner, err := ReadHetzner(ctx, providers, known)
		if err != nil {
			return err
		}
		owner, err := NewOwner(ctx, "owner")
		if err != nil {
			return err
		}
		access, err := NewAccess(ctx, "access", &AccessArgs{FirstBootKey: pulumi.String(firstBootKey), Owner: owner, Hetzner: hetzner})
		if err != nil {
			return err
		}
		_, err = NewHost(ctx, "gw-1", &HostArgs{
			Owner: owner, Access: access,
			Server: &HcloudServer{Type: "cax11", Location: "nbg1", Image: "debian-12"},
			Identity: &Identity{
				PrivateKey:   pulumi.ToSecret(pulumi.String(canary)).(pulumi.StringOutput),
				PublicKey:    pulumi.String(loginKey).ToStringOutput(),
				FirstBootKey: pulumi.String(firstBootKey).ToStringOutput(),
			},
		})
		return err
	})
	imports := map[string]string{}
	for _, registered := range r.Resources() {
		if id := registered.Request.GetImportId(); id != "" {
			imports[registered.Name] = id
		}
	}
	return imports
}

// left is what a killed update of this stack has left of each kind.
func left(change map[string]any) map[string][]map[string]any {
	one := func(own map[string]any) []map[string]any {
		one := map[string]any{"labels": map[string]any{"owner": ownerID}}
		maps.Copy(one, own)
		maps.Copy(one, change)
		return []map[string]any{one}
	}
	return map[string][]map[string]any{
		"servers":    one(map[string]any{"id": 1, "name": "gw-1", "serverType": "cax11", "location": "nbg1", "image": "debian-12"}),
		"primaryIps": one(map[string]any{"id": 2, "name": "gw-1-ipv4", "type": "ipv4", "location": "nbg1"}),
		"sshKeys":    one(map[string]any{"id": 3, "name": "access-key-1a2b3c4", "publicKey": firstBootKey + "\n"}),
		"firewalls":  one(map[string]any{"id": 4, "name": "access-firewall-1a2b3c4"}),
	}
}

func TestAdoption(t *testing.T) {
	all := map[string]string{"gw-1-server": "1", "gw-1-ipv4": "2", "access-key": "3", "access-firewall": "4"}
	twice := left(nil)
	twice["firewalls"] = append(twice["firewalls"], map[string]any{"id": 5, "name": "access-firewall-5d6e7f8", "labels": map[string]any{"owner": ownerID}})
	for _, test := range []struct {
		name    string
		project map[string][]map[string]any
		known   map[string]string
		want    map[string]string
	}{
		{"nothing is there", nil, nil, nil},
		{"what a killed update left", left(nil), nil, all},
		{"what the last update knew", left(nil), all, nil},
		{"what was made in the place of what the last update knew", left(nil),
			map[string]string{"gw-1-server": "9", "gw-1-ipv4": "2", "access-key": "3", "access-firewall": "4"}, nil},
		{"another stack's", left(map[string]any{"labels": map[string]any{"owner": "ffffffffffffffff"}}), nil, nil},
		{"nobody's", left(map[string]any{"labels": map[string]any{}}), nil, nil},
		{"ours elsewhere", left(map[string]any{"location": "hel1"}), nil, map[string]string{"access-key": "3", "access-firewall": "4"}},
		{"ours of another image", left(map[string]any{"image": "debian-13"}), nil, map[string]string{"gw-1-ipv4": "2", "access-key": "3", "access-firewall": "4"}},
		{"ours with another key", left(map[string]any{"publicKey": loginKey}), nil, map[string]string{"gw-1-server": "1", "gw-1-ipv4": "2", "access-firewall": "4"}},
		{"ours with other names", left(map[string]any{"name": "other"}), nil, map[string]string{"access-key": "3", "access-firewall": "4"}},
		{"two of which either could be ours", twice, nil, map[string]string{"gw-1-server": "1", "gw-1-ipv4": "2", "access-key": "3"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := importsOf(t, newRecorder(t), test.project, test.known); !maps.Equal(got, test.want) {
				t.Errorf("imports %v, want %v", got, test.want)
			}
		})
	}
}

// The first preview of a stack does not know its owner yet.
func TestNothingIsAdoptedWithoutAnOwner(t *testing.T) {
	r := newRecorder(t)
	r.Preview = true
	if got := importsOf(t, r, left(nil), nil); len(got) > 0 {
		t.Errorf("imports %v", got)
	}
}

// The plugin deletes an address that a server has and its state does not have.
func TestAServerKeepsTheAddressThatItHas(t *testing.T) {
	for name, assignee := range map[string]int{"its own": 1, "another's": 7, "nobody's": 0} {
		t.Run(name, func(t *testing.T) {
			project := left(nil)
			project["primaryIps"][0]["assigneeId"] = assignee
			r := newRecorder(t)
			importsOf(t, r, project, nil)
			ignored := mustFind(t, r, serverType, "gw-1-server").Request.GetIgnoreChanges()
			if slices.Contains(ignored, "publicNets") != (assignee == 1) {
				t.Errorf("changes of %q are ignored", ignored)
			}
		})
	}
}
