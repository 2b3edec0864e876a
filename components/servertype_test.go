package components

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

const (
	getServerTypes = "hcloud:index/getServerTypes:getServerTypes"
	getServers     = "hcloud:index/getServers:getServers"
	getPrimaryIPs  = "hcloud:index/getPrimaryIps:getPrimaryIps"
	getSSHKeys     = "hcloud:index/getSshKeys:getSshKeys"
	getFirewalls   = "hcloud:index/getFirewalls:getFirewalls"
)

// catalogue answers as Hetzner would: a location is offered, sold out
// ("fsn1 sold out") or about to go ("hel1 deprecated").
func catalogue(resource.PropertyMap) (resource.PropertyMap, error) {
	serverType := func(name, architecture string, locations ...string) any {
		var offered []any
		for _, location := range locations {
			name, state, _ := strings.Cut(location, " ")
			offered = append(offered, map[string]any{
				"name": name, "available": state != "sold out",
				"isDeprecated":     state == "deprecated" || state == "retired",
				"unavailableAfter": map[string]string{"deprecated": "2999-12-31T00:00:00Z", "retired": "2025-12-31T00:00:00Z"}[state],
			})
		}
		return map[string]any{"name": name, "architecture": architecture, "locations": offered}
	}
	return resource.NewPropertyMapFromMap(map[string]any{"serverTypes": []any{
		serverType("cax11", "arm", "nbg1", "hel1"),
		serverType("cax21", "arm", "nbg1", "fsn1 sold out"),
		serverType("cx22", "x86", "nbg1 deprecated", "hel1 deprecated"),
		serverType("cx23", "x86", "nbg1", "hel1"),
		serverType("cx33", "x86", "nbg1 sold out"),
		serverType("cpx11", "x86", "nbg1 retired"),
	}}), nil
}

// existingServers answers as Hetzner would for a project with servers.
func existingServers(servers ...map[string]any) func(resource.PropertyMap) (resource.PropertyMap, error) {
	return func(resource.PropertyMap) (resource.PropertyMap, error) {
		var all []any
		for _, server := range servers {
			all = append(all, server)
		}
		return resource.NewPropertyMapFromMap(map[string]any{"servers": all}), nil
	}
}

func checkServers(r *recorder.Recorder, servers map[string]HcloudServer, platforms ...string) error {
	return r.Run(func(ctx *pulumi.Context) error {
		providers, err := NewProviders(ctx, &ProvidersArgs{Hcloud: &HcloudProviderArgs{}})
		if err != nil {
			return err
		}
		hetzner, err := ReadHetzner(ctx, providers, nil)
		if err != nil {
			return err
		}
		return hetzner.CheckServers(servers, map[string]string{"gw-new": "gw-old"}, platforms)
	})
}

func TestCheckServers(t *testing.T) {
	for _, test := range []struct {
		name      string
		servers   map[string]HcloudServer
		platforms []string
		want      string // "" accepts the servers
	}{
		{"what is offered", map[string]HcloudServer{"gw-1": {Type: "cax11", Location: "nbg1"}, "gw-2": {Type: "cx23", Location: "hel1"}},
			[]string{"linux/amd64", "linux/arm64"}, ""},
		{"an image that is not built here", map[string]HcloudServer{"gw-1": {Type: "cax11", Location: "nbg1"}}, nil, ""},
		{"a type that is about to go", map[string]HcloudServer{"gw-1": {Type: "cx22", Location: "nbg1"}}, nil, ""},
		{"an unknown type", map[string]HcloudServer{"gw-1": {Type: "cx99", Location: "nbg1"}}, nil,
			`host gw-1: there is no server type "cx99"; in nbg1 there are cax11, cax21, cx23`},
		{"a type that is elsewhere", map[string]HcloudServer{"gw-1": {Type: "cax21", Location: "hel1"}}, nil,
			`host gw-1: server type "cax21" is not available in "hel1"; in hel1 there are cax11; it is available in nbg1`},
		{"a type that is sold out", map[string]HcloudServer{"gw-1": {Type: "cx33", Location: "nbg1"}}, nil,
			`host gw-1: server type "cx33" is not available in "nbg1"; in nbg1 there are cx23; it is available in no location`},
		{"a type that was retired", map[string]HcloudServer{"gw-1": {Type: "cpx11", Location: "nbg1"}}, nil,
			`host gw-1: server type "cpx11" is not available in "nbg1"; in nbg1 there are cx23; it is available in no location`},
		{"an unknown location", map[string]HcloudServer{"gw-1": {Type: "cx23", Location: "mars1"}}, nil,
			`host gw-1: server type "cx23" is not available in "mars1"; in mars1 there are none; it is available in nbg1, hel1`},
		{"an architecture without an image", map[string]HcloudServer{"gw-1": {Type: "cax11", Location: "nbg1"}}, []string{"linux/amd64"},
			`host gw-1: server type "cax11" is linux/arm64, but the image is built for linux/amd64 only; add linux/arm64 to clawft:image.platforms`},
		{"several, by name", map[string]HcloudServer{"gw-2": {Type: "cx23", Location: "mars1"}, "gw-1": {Type: "cx99", Location: "mars1"}}, nil,
			"servers that cannot be ordered:\n" +
				`  host gw-1: there is no server type "cx99"; in mars1 there are none` + "\n" +
				`  host gw-2: server type "cx23" is not available in "mars1"; in mars1 there are none; it is available in nbg1, hel1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				r.Functions[getServerTypes] = catalogue
				r.Functions[getServers] = existingServers()
				err := checkServers(r, test.servers, test.platforms...)
				switch {
				case test.want == "" && err != nil:
					t.Errorf("refused: %v", err)
				case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
					t.Errorf("got %v, want %s", err, test.want)
				}
			})
		})
	}
}

// What Hetzner sells concerns what is ordered: a server that is there stays.
func TestCheckServersThatExist(t *testing.T) {
	there := map[string]any{"name": "gw-1", "serverType": "cx33", "location": "nbg1", "image": "debian-12"}
	for _, test := range []struct {
		name   string
		server HcloudServer
		change map[string]any
		as     string
		want   string
	}{
		{"its type is sold out", HcloudServer{"cx33", "nbg1", "debian-12"}, nil, "gw-1", ""},
		{"its type is retired", HcloudServer{"cpx11", "nbg1", "debian-12"}, map[string]any{"serverType": "cpx11"}, "gw-1", ""},
		{"its type is unknown by now", HcloudServer{"cx11", "nbg1", "debian-12"}, map[string]any{"serverType": "cx11"}, "gw-1", ""},
		{"its image is gone", HcloudServer{"cx33", "nbg1", "123456"}, map[string]any{"image": ""}, "gw-1", ""},
		{"it is renamed", HcloudServer{"cx33", "nbg1", "debian-12"}, map[string]any{"name": "gw-old"}, "gw-new", ""},
		{"it is resized to what is sold", HcloudServer{"cx23", "nbg1", "debian-12"}, nil, "gw-1", ""},
		{"it is resized to what is not", HcloudServer{"cpx11", "nbg1", "debian-12"}, nil, "gw-1",
			`server type "cpx11" is not available in "nbg1"; in nbg1 there are cx23`},
		{"it is replaced for its image", HcloudServer{"cx33", "nbg1", "debian-13"}, nil, "gw-1",
			`server type "cx33" is not available in "nbg1"`},
		{"it is replaced for its location", HcloudServer{"cx33", "hel1", "debian-12"}, nil, "gw-1",
			`server type "cx33" is not available in "hel1"`},
		{"another one is there", HcloudServer{"cx33", "nbg1", "debian-12"}, map[string]any{"name": "gw-2"}, "gw-1",
			`server type "cx33" is not available in "nbg1"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t)
			server := maps.Clone(there)
			maps.Copy(server, test.change)
			r.Functions[getServerTypes], r.Functions[getServers] = catalogue, existingServers(server)
			err := checkServers(r, map[string]HcloudServer{test.as: test.server})
			if (err != nil || test.want != "") && (err == nil || !strings.Contains(err.Error(), test.want) || test.want == "") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestCheckServersWithoutAnAnswer(t *testing.T) {
	for function, want := range map[string]string{
		getServerTypes: "listing Hetzner server types: ",
		getServers:     "listing the servers of the Hetzner project: ",
		getPrimaryIPs:  "listing the primary IPs of the Hetzner project: ",
		getSSHKeys:     "listing the SSH keys of the Hetzner project: ",
		getFirewalls:   "listing the firewalls of the Hetzner project: ",
	} {
		r := newRecorder(t)
		r.Functions[getServerTypes], r.Functions[getServers] = catalogue, existingServers()
		r.Functions[function] = func(resource.PropertyMap) (resource.PropertyMap, error) {
			return nil, errors.New("the token is not valid")
		}
		err := checkServers(r, map[string]HcloudServer{"gw-1": {Type: "cax11", Location: "nbg1"}})
		for _, want := range []string{want, "the token is not valid"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}

func TestCheckServersWithAWrongToken(t *testing.T) {
	for _, message := range []string{
		"unable to authenticate (unauthorized, 3c8)",
		"API request failed: unable to authenticate\n\nError code: unauthorized\nStatus code: 401",
	} {
		r := newRecorder(t)
		r.Functions[getServerTypes] = func(resource.PropertyMap) (resource.PropertyMap, error) { return nil, errors.New(message) }
		err := checkServers(r, map[string]HcloudServer{"gw-1": {Type: "cax11", Location: "nbg1"}})
		if want := "hcloud:token is wrong: Hetzner refuses it; set one that is valid: pulumi config set --stack prod --secret hcloud:token"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
