package pipeline

import (
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/internal/recorder"
	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/signature"
)

// planted is in every secret that the plans are given.
const planted = "planted-secret-value"

// recordedStack returns a recorder that answers as the providers would, with
// the configuration of one of the project's stack files and what has to be set
// beside it.
func recordedStack(t *testing.T, stack string) *recorder.Recorder {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Pulumi."+stack+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := stackFile(content).recorded(t, stack)
	private, public := testKeyPair(t)
	set := map[string]string{"hcloud:token": planted, "github:token": planted}
	switch stack {
	case "lab":
		// What `go run ./lab up` fills in.
		set["clawft:sshPrivateKey"] = private
		setPath(t, r, "clawft:image", "repository", "172.30.0.1:5000/clawft/clawft")
		setPath(t, r, "clawft:image", "source", ".")
		setPath(t, r, "clawft:image", "username", "clawft")
		setHost(t, r, 1, "hostKey", public)
		set["clawft:registryPassword"] = planted
		set["clawft:registryPullToken"] = planted
	default:
		set["clawft:secrets"] = `{"ANTHROPIC_API_KEY":"` + planted + `"}`
		setPath(t, r, "clawft:image", "ref", serveSource(t))
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		r.Config[key] = set[key]
		r.SecretKeys = append(r.SecretKeys, key)
	}
	// Read by the pipeline and by the SDKs, on machines and runners that set them.
	for _, name := range []string{"DOCKER_HOST", "GITHUB_ACTIONS", "GITHUB_BASE_URL"} {
		t.Setenv(name, "") // restores it afterwards
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	r.Outputs = providerOutputs(t)
	r.Functions = providerFunctions()
	serveTags(t)
	t.Chdir(root)
	return r
}

func TestPlans(t *testing.T) {
	for _, stack := range []string{"dev", "prod", "lab"} {
		t.Run(stack, func(t *testing.T) {
			r := recordedStack(t, stack)
			if err := r.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			plan := r.Plan()
			if strings.Contains(plan, planted) {
				t.Errorf("the plan shows a secret:\n%s", plan)
			}
			checkGolden(t, filepath.Join(root, "pipeline", "testdata", "plan-"+stack+".txt"), plan)
		})
		t.Run(stack+" in a preview", func(t *testing.T) {
			r := recordedStack(t, stack)
			r.Preview = true
			if err := r.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			full := recordedStack(t, stack)
			if err := full.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			if got, want := len(r.Resources()), len(full.Resources()); got != want {
				t.Errorf("a preview registers %d resources, an update %d: it hides what will happen", got, want)
			}
		})
	}
}

// A secret must be one for the engine too, wherever it goes.
func TestPlansKeepSecrets(t *testing.T) {
	for _, stack := range []string{"dev", "prod", "lab"} {
		t.Run(stack, func(t *testing.T) {
			r := recordedStack(t, stack)
			if err := r.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			for _, registered := range r.Resources() {
				for _, secret := range []string{planted, "PRIVATE KEY"} {
					if path := plainPath(resource.NewProperty(registered.Inputs), secret); path != "" {
						t.Errorf("%s %s holds %q in plain text: %s", registered.Type, registered.Name, secret, path)
					}
				}
			}
		})
	}
}

// plainPath finds text in a value outside of secrets.
func plainPath(value resource.PropertyValue, text string) string {
	switch {
	case value.IsSecret():
		return ""
	case value.IsString() && strings.Contains(value.StringValue(), text):
		return "here"
	case value.IsArray():
		for _, item := range value.ArrayValue() {
			if plainPath(item, text) != "" {
				return "in a list"
			}
		}
	case value.IsObject():
		for key, item := range value.ObjectValue() {
			if plainPath(item, text) != "" {
				return string(key)
			}
		}
	}
	return ""
}

// Whatever changes a host waits until the hosts before it are verified: each of
// its commands, and its server, whose changed type is a reboot.
func TestHostsChangeInWaves(t *testing.T) {
	r := recordedStack(t, "prod")
	var hosts []any
	for i := range 5 {
		hosts = append(hosts, map[string]any{"name": fmt.Sprintf("gw-%d", i), "hcloud": map[string]any{"type": "cax21", "location": "nbg1", "image": "debian-12"}})
	}
	hosts[2].(map[string]any)["giveUp"] = true
	r.Config["clawft:hosts"] = asConfigValue(t, hosts)
	r.Config["clawft:rollout"] = `{"waves": [1, 2]}`
	if err := r.Run(Deploy); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"gw-1": {"gw-0"}, "gw-3": {"gw-0"}, "gw-4": {"gw-1", "gw-3"}}
	seen := map[string]int{}
	for _, registered := range r.Resources() {
		host, _, found := strings.Cut(strings.TrimPrefix(registered.Name, "gw-"), "-")
		changes := registered.Type == "command:remote:Command" || registered.Type == "hcloud:index/server:Server"
		if !found || !changes || !strings.HasPrefix(registered.Name, "gw-") {
			continue
		}
		host = "gw-" + host
		seen[host]++
		var waits []string
		for _, urn := range registered.Request.GetDependencies() {
			name := urn[strings.LastIndex(urn, ":")+1:]
			if other, isRelease := strings.CutSuffix(name, "-release"); isRelease && other != host {
				waits = append(waits, other)
			}
		}
		slices.Sort(waits)
		if !slices.Equal(waits, want[host]) {
			t.Errorf("%s waits for the hosts %v, want %v", registered.Name, waits, want[host])
		}
	}
	for host, count := range seen {
		if count != seen["gw-0"] {
			t.Errorf("%s has %d steps, gw-0 has %d", host, count, seen["gw-0"])
		}
	}
	if len(seen) != 5 || seen["gw-0"] < 4 {
		t.Errorf("the steps of the hosts are %v", seen)
	}
}

func TestWrongServersAreReportedTogether(t *testing.T) {
	r := recordedStack(t, "prod")
	setHost(t, r, 0, "hcloud", map[string]any{"type": "cx99", "location": "nbg1", "image": "debian-12"})
	setHost(t, r, 1, "hcloud", map[string]any{"type": "cax21", "location": "ash", "image": "debian-12"})
	err := r.Run(Deploy)
	if err == nil {
		t.Fatal("servers that cannot be ordered were accepted")
	}
	for _, want := range []string{
		`host gw-1: there is no server type "cx99"; in nbg1 there are cax11, cax21, cx23`,
		`host gw-2: server type "cax21" is not available in "ash"; in ash there are none; it is available in nbg1, hel1`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	for _, registered := range r.Resources() {
		if registered.Custom && !registered.Read && !strings.HasPrefix(registered.Type, "pulumi:providers:") {
			t.Errorf("%s %s was registered", registered.Type, registered.Name)
		}
	}
}

// listsNothing answers with an empty list.
func listsNothing(name string) func(resource.PropertyMap) (resource.PropertyMap, error) {
	return func(resource.PropertyMap) (resource.PropertyMap, error) {
		return resource.NewPropertyMapFromMap(map[string]any{name: []any{}}), nil
	}
}

// providerFunctions answer what the program asks of providers.
func providerFunctions() map[string]func(resource.PropertyMap) (resource.PropertyMap, error) {
	serverType := func(name, architecture string, locations ...string) any {
		var offered []any
		for _, location := range locations {
			offered = append(offered, map[string]any{"name": location, "available": true, "isDeprecated": false})
		}
		return map[string]any{"name": name, "architecture": architecture, "locations": offered}
	}
	return map[string]func(resource.PropertyMap) (resource.PropertyMap, error){
		"hcloud:index/getServerTypes:getServerTypes": func(resource.PropertyMap) (resource.PropertyMap, error) {
			return resource.NewPropertyMapFromMap(map[string]any{"serverTypes": []any{
				serverType("cax11", "arm", "nbg1", "hel1", "fsn1"),
				serverType("cax21", "arm", "nbg1", "hel1"),
				serverType("cx23", "x86", "nbg1", "hel1"),
			}}), nil
		},
		"github:index/getRepository:getRepository": func(resource.PropertyMap) (resource.PropertyMap, error) {
			return resource.NewPropertyMapFromMap(map[string]any{"repoId": 1}), nil
		},
		"github:index/getRestApi:getRestApi": func(resource.PropertyMap) (resource.PropertyMap, error) {
			return resource.NewPropertyMapFromMap(map[string]any{"code": 404}), nil
		},
		"hcloud:index/getPrimaryIps:getPrimaryIps": listsNothing("primaryIps"),
		"hcloud:index/getSshKeys:getSshKeys":       listsNothing("sshKeys"),
		"hcloud:index/getFirewalls:getFirewalls":   listsNothing("firewalls"),
		"hcloud:index/getServers:getServers": func(resource.PropertyMap) (resource.PropertyMap, error) {
			return resource.NewPropertyMapFromMap(map[string]any{"servers": []any{}}), nil
		},
		"cloudinit:index/getConfig:getConfig": func(args resource.PropertyMap) (resource.PropertyMap, error) {
			return resource.PropertyMap{"rendered": resource.NewProperty("user-data")}, nil
		},
	}
}

// providerOutputs compute what providers would.
func providerOutputs(t *testing.T) map[string]func(resource.PropertyMap) resource.PropertyMap {
	private, public := testKeyPair(t)
	_, signing := testkey.New(t)
	text := func(outputs map[string]string) func(resource.PropertyMap) resource.PropertyMap {
		return func(resource.PropertyMap) resource.PropertyMap {
			computed := resource.PropertyMap{}
			for key, value := range outputs {
				computed[resource.PropertyKey(key)] = resource.NewProperty(value)
			}
			return computed
		}
	}
	return map[string]func(resource.PropertyMap) resource.PropertyMap{
		// A stack that was never updated.
		stackReference: func(resource.PropertyMap) resource.PropertyMap {
			return resource.PropertyMap{"outputs": resource.NewProperty(resource.PropertyMap{})}
		},
		"docker-build:index:Image":         text(map[string]string{"digest": digest}),
		"hcloud:index/primaryIp:PrimaryIp": text(map[string]string{"ipAddress": "203.0.113.11"}),
		"command:local:Command":            gateOutputs,
		"command:remote:Command":           text(map[string]string{"stdout": "deployed"}),
		"docker-build:index:Index":         text(map[string]string{"ref": "published"}),
		"pulumi:index:Stash":               text(map[string]string{"output": "00112233aabbccdd"}),
		"tls:index/privateKey:PrivateKey": func(resource.PropertyMap) resource.PropertyMap {
			return resource.PropertyMap{
				"privateKeyOpenssh": resource.MakeSecret(resource.NewProperty(private)),
				"privateKeyPem":     resource.MakeSecret(resource.NewProperty(signing)),
				"publicKeyOpenssh":  resource.NewProperty(public + "\n"),
			}
		},
	}
}

// gateOutputs is what a gate prints: a signature, if it is about one.
func gateOutputs(inputs resource.PropertyMap) resource.PropertyMap {
	found := "proven"
	gate := inputs["create"].StringValue()
	if strings.HasSuffix(gate, " attest") || strings.HasSuffix(gate, " signed") {
		found = signedBy(inputs["stdin"])
	}
	return resource.PropertyMap{"stdout": resource.NewProperty(found)}
}

// signedBy answers a gate's document with a signature by the keys in it.
func signedBy(stdin resource.PropertyValue) string {
	if stdin.IsSecret() {
		stdin = stdin.SecretValue().Element
	}
	var document struct {
		Key  string
		Keys []string
	}
	if !stdin.IsString() || json.Unmarshal([]byte(stdin.StringValue()), &document) != nil {
		return "" // unknown, in a preview
	}
	if key, err := signature.ParseKey(document.Key); err == nil && len(document.Keys) == 0 {
		document.Keys = []string{key.Public().String()}
	}
	text, err := json.Marshal(signature.Proof{Keys: document.Keys, Image: signature.Image{Payload: []byte("of " + digest)}})
	if err != nil {
		return ""
	}
	return string(text)
}

// testKeyPair is always the same pair, for the golden plans.
func testKeyPair(t *testing.T) (private, public string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// setPath sets one field of an object in a recorder's configuration.
func setPath(t *testing.T, r *recorder.Recorder, key, field string, value any) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(r.Config[key]), &object); err != nil {
		t.Fatal(err)
	}
	object[field] = value
	r.Config[key] = asConfigValue(t, object)
}

// setHost sets one field of a host.
func setHost(t *testing.T, r *recorder.Recorder, number int, field string, value any) {
	t.Helper()
	var hosts []map[string]any
	if err := json.Unmarshal([]byte(r.Config["clawft:hosts"]), &hosts); err != nil {
		t.Fatal(err)
	}
	hosts[number][field] = value
	r.Config["clawft:hosts"] = asConfigValue(t, hosts)
}
