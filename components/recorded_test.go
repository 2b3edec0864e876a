package components

import (
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/internal/recorder"
)

const (
	commandType = "command:remote:Command"
	serverType  = "hcloud:index/server:Server"

	builtDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// inBothModes runs a test with known values, as in an update, and with unknown
// ones, as in a preview.
func inBothModes(t *testing.T, test func(t *testing.T, r *recorder.Recorder)) {
	t.Helper()
	for _, mode := range []struct {
		name    string
		preview bool
	}{{"update", false}, {"preview", true}} {
		t.Run(mode.name, func(t *testing.T) {
			r := newRecorder(t)
			r.Preview = mode.preview
			test(t, r)
		})
	}
}

// newRecorder returns a recorder that computes what the providers would.
func newRecorder(t *testing.T) *recorder.Recorder {
	t.Helper()
	private, public := keyPair(t, 1)
	computed := func(outputs resource.PropertyMap) func(resource.PropertyMap) resource.PropertyMap {
		return func(resource.PropertyMap) resource.PropertyMap { return outputs }
	}
	return &recorder.Recorder{
		Stack: "prod",
		Outputs: map[string]func(resource.PropertyMap) resource.PropertyMap{
			"docker-build:index:Image":         computed(resource.PropertyMap{"digest": resource.NewProperty(builtDigest)}),
			"hcloud:index/primaryIp:PrimaryIp": computed(resource.PropertyMap{"ipAddress": resource.NewProperty("203.0.113.11")}),
			commandType:                        computed(resource.PropertyMap{"stdout": resource.NewProperty("deployed none -> " + builtDigest)}),
			stashType:                          computed(resource.PropertyMap{"output": resource.NewProperty(ownerID)}),
			"tls:index/privateKey:PrivateKey": computed(resource.PropertyMap{
				"privateKeyOpenssh": resource.NewProperty(private),
				"publicKeyOpenssh":  resource.NewProperty(public + "\n"),
			}),
		},
		Functions: map[string]func(resource.PropertyMap) (resource.PropertyMap, error){
			cloudinitGetConfig: joinParts,
			getPrimaryIPs:      lists("primaryIps"),
			getSSHKeys:         lists("sshKeys"),
			getFirewalls:       lists("firewalls"),
		},
	}
}

// lists answers with a list.
func lists(name string, all ...any) func(resource.PropertyMap) (resource.PropertyMap, error) {
	return func(resource.PropertyMap) (resource.PropertyMap, error) {
		return resource.NewPropertyMapFromMap(map[string]any{name: append([]any{}, all...)}), nil
	}
}

// joinParts answers as the cloudinit plugin would, without the MIME headers.
func joinParts(args resource.PropertyMap) (resource.PropertyMap, error) {
	var all []string
	for _, part := range args["parts"].ArrayValue() {
		all = append(all, reveal(part.ObjectValue()["content"]).StringValue())
	}
	return resource.PropertyMap{"rendered": resource.NewProperty(strings.Join(all, "\n--\n"))}, nil
}

// keyPair returns the SSH key pair of a number.
func keyPair(t *testing.T, number byte) (private, public string) {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = number
	key := ed25519.NewKeyFromSeed(seed)
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

func mustRun(t *testing.T, r *recorder.Recorder, program pulumi.RunFunc) {
	t.Helper()
	if err := r.Run(program); err != nil {
		t.Fatal(err)
	}
}

func mustFind(t *testing.T, r *recorder.Recorder, typeToken, name string) *recorder.Resource {
	t.Helper()
	found := r.Find(typeToken, name)
	if found == nil {
		t.Fatalf("there is no %s %s among\n%s", typeToken, name, r.Plan())
	}
	return found
}

// wantInputs compares inputs, by path, with JSON. Secrets are revealed, an
// input that is not there is null, and one that is unknown is "unknown".
func wantInputs(t *testing.T, found *recorder.Resource, want map[string]string) {
	t.Helper()
	for path, value := range want {
		if got := input(t, found, path); got != value {
			t.Errorf("%s: %s is %s, want %s", found.Name, path, got, value)
		}
	}
}

func input(t *testing.T, found *recorder.Resource, path string) string {
	t.Helper()
	value := reveal(resource.NewProperty(found.Inputs))
	for key := range strings.SplitSeq(path, ".") {
		if !value.IsObject() {
			return "null"
		}
		value = value.ObjectValue()[resource.PropertyKey(key)]
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		if v.IsComputed() {
			return "unknown", true
		}
		return nil, false
	}))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text.String())
}

// text is an input that must be known text, revealed.
func text(t *testing.T, found *recorder.Resource, path string) string {
	t.Helper()
	var value string
	if err := json.Unmarshal([]byte(input(t, found, path)), &value); err != nil {
		t.Fatalf("%s: reading %s: %v", found.Name, path, err)
	}
	return value
}

// reveal drops the marks of secrets.
func reveal(value resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret():
		return reveal(value.SecretValue().Element)
	case value.IsArray():
		var items []resource.PropertyValue
		for _, item := range value.ArrayValue() {
			items = append(items, reveal(item))
		}
		return resource.NewProperty(items)
	case value.IsObject():
		object := resource.PropertyMap{}
		for key, item := range value.ObjectValue() {
			object[key] = reveal(item)
		}
		return resource.NewProperty(object)
	}
	return value
}

// wantSecret demands that an input is marked as secret, known or not.
func wantSecret(t *testing.T, found *recorder.Resource, key string) {
	t.Helper()
	value, given := found.Inputs[resource.PropertyKey(key)]
	if !given || !value.IsSecret() {
		t.Errorf("%s: %s is not secret", found.Name, key)
	}
}

// wantNoPlainText demands that a text is nowhere but in secrets.
func wantNoPlainText(t *testing.T, r *recorder.Recorder, secret string) {
	t.Helper()
	for _, registered := range r.Resources() {
		if inPlainText(resource.NewProperty(registered.Inputs), secret) {
			t.Errorf("%s %s has %q among its inputs in plain text", registered.Type, registered.Name, secret)
		}
	}
	for _, message := range r.Messages() {
		if strings.Contains(message, secret) {
			t.Errorf("the program says %q", message)
		}
	}
}

func inPlainText(value resource.PropertyValue, secret string) bool {
	switch {
	case value.IsString():
		return strings.Contains(value.StringValue(), secret)
	case value.IsArray():
		for _, item := range value.ArrayValue() {
			if inPlainText(item, secret) {
				return true
			}
		}
	case value.IsObject():
		for _, item := range value.ObjectValue() {
			if inPlainText(item, secret) {
				return true
			}
		}
	}
	return false
}
