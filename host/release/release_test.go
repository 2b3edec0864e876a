package release

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/signature"
)

const testConfig = `{"agents":{"defaults":{"workspace":"~/.clawft/workspace"}},"gateway":{"host":"0.0.0.0","apiPort":8080,"apiEnabled":true,"owner":9007199254740993}}`

func testRelease() Release {
	return Release{
		Owner:   Owner{ID: "0123456789abcdef", Gateway: "gw-1", Stack: "organization/clawft/prod"},
		Image:   "registry.example.com:5000/clawft/clawft@sha256:" + strings.Repeat("0123456789abcdef", 4),
		Version: "0.6.19",
		Config:  json.RawMessage(testConfig),
		Env:     map[string]string{"OPENAI_API_KEY": `sk-"quoted" <&> \ value`, "RUST_LOG": "info"},
		Registry: &RegistryLogin{
			Address:  "registry.example.com:5000",
			Username: "clawft",
			Password: "a-password",
		},
		Port: 8080, MemoryMiB: 512, Pids: 256, HealthTimeout: 60, Watch: 15, Drain: 10,
	}
}

func TestDecode(t *testing.T) {
	right, err := json.Marshal(testRelease())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a release", string(right), ""},
		{"a field that nobody knows", strings.Replace(string(right), `"port"`, `"ports":1,"port"`, 1), `decoding the release: json: unknown field "ports"`},
		{"no JSON", "release", "decoding the release: invalid character 'r' looking for beginning of value"},
		{"two", string(right) + string(right), "decoding the release: there is something behind it"},
		{"a space behind it", string(right) + "\n", ""},
		{"too much", strings.Repeat(" ", MaxSize+1), "the release is larger than 4 MiB"},
		{"one that is not valid", strings.Replace(string(right), "0.6.19", "6", 1), "the release is not valid:\nversion: \"6\" is not a version such as 0.6.19"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			r, err := Decode(strings.NewReader(c.text))
			if err != nil {
				got = err.Error()
			} else if string(r.Config) != testConfig {
				t.Errorf("the config arrives as %s, want it unchanged", r.Config)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	const secret = "a\nsecret"
	for _, c := range []struct {
		name   string
		change func(*Release)
		want   string
	}{
		{"as it is", func(*Release) {}, ``},
		{"nobody's", func(r *Release) { r.Owner = Owner{} },
			"owner.id: \"\" is not 16 hexadecimal digits\nowner.gateway: \"\" is not a host's name\nowner.stack: \"\" is not organization/project/stack"},
		{"a gateway that is a path", func(r *Release) { r.Owner.Gateway = "../gw" }, `owner.gateway: "../gw" is not a host's name`},
		{"a gateway of a long name", func(r *Release) { r.Owner.Gateway = strings.Repeat("g", 64) }, `owner.gateway: "` + strings.Repeat("g", 64) + `" is not a host's name`},
		{"taken from a name alone", func(r *Release) { r.Owner.Takes = []string{"gw-1"} },
			`owner.takes[0]: "gw-1" is not an owner and a gateway, such as 0123456789abcdef/gw-1`},
		{"a tag", func(r *Release) { r.Image = "ghcr.io/clawft/clawft:0.6.19"; r.Registry = nil },
			`image: "ghcr.io/clawft/clawft:0.6.19" is not repository@sha256:<64 hex digits>`},
		{"a version with a v", func(r *Release) { r.Version = "v0.6.19" }, `version: "v0.6.19" is not a version such as 0.6.19`},
		{"a version that is a path", func(r *Release) { r.Version = "0.6.19-../x" }, `version: "0.6.19-../x" is not a version such as 0.6.19`},
		{"no memory", func(r *Release) { r.MemoryMiB = 0 }, `memoryMiB: 0 MiB is not between 16 and 1048576`},
		{"a long health timeout", func(r *Release) { r.HealthTimeout = 181 }, `healthTimeout: 181 s is not between 1 and 180`},
		{"a negative watch", func(r *Release) { r.Watch = -1 }, `watch: -1 s is not between 0 and 600`},
		{"a container of a newer host", func(r *Release) { r.Spec = Spec + 1 }, `spec: 2 is not between 0 and 1`},
		{"a config that is a list", func(r *Release) { r.Config = json.RawMessage(`[]`) }, `config: it is not a JSON object`},
		{"a config without a gateway", func(r *Release) { r.Config = json.RawMessage(`{}`) },
			`config.gateway: it is missing; the API must be enabled for the health check`},
		{"the API off", func(r *Release) { r.Config = json.RawMessage(`{"gateway":{"apiPort":8080}}`) },
			`config.gateway.apiEnabled: <nil> is not true; without the API there is no health check`},
		{"another port", func(r *Release) { r.Port = 9090 }, `config.gateway.apiPort: 8080 is not the release's port 9090`},
		{"a config in snake case", func(r *Release) { r.Config = json.RawMessage(`{"gateway":{"api_port":8080,"api_enabled":true}}`) }, ``},
		{"loopback in the container", func(r *Release) {
			r.Config = json.RawMessage(`{"gateway":{"apiPort":8080,"apiEnabled":true,"host":"127.0.0.1"}}`)
		}, `config.gateway.host: 127.0.0.1 is not 0.0.0.0; the host cannot reach another address in the container`},
		{"a name with a dash", func(r *Release) { r.Env["A-B"] = "x" }, `env: "A-B" is not a name of letters, digits and underscores`},
		{"a name that the host sets", func(r *Release) { r.Env["HOME"] = "/" }, `env.HOME: the host sets it; leave it out`},
		{"a value of two lines", func(r *Release) { r.Env["KEY"] = secret }, `env.KEY: its value contains a line break or another control character`},
		{"a value that is not UTF-8", func(r *Release) { r.Env["KEY"] = "\xff" }, `env.KEY: its value is not UTF-8`},
		{"a long value", func(r *Release) { r.Env["KEY"] = strings.Repeat("x", MaxEnvValue+1) },
			`env.KEY: its value is 61441 bytes long; at most 61440 are possible`},
		{"no password", func(r *Release) { r.Registry.Password = "" },
			`registry: it needs both a username and a password; leave it out to pull anonymously`},
		{"a colon in the name", func(r *Release) { r.Registry.Username = "a:b" }, `registry.username: "a:b" contains a colon`},
		{"another registry", func(r *Release) { r.Registry.Address = "ghcr.io" },
			`registry.address: "ghcr.io" is not the image's registry "registry.example.com:5000"`},
		{"Docker Hub", func(r *Release) {
			r.Image = "clawft/clawft@" + r.Digest()
			r.Registry.Address = "docker.io"
		}, ``},
		{"several at once", func(r *Release) { r.Pids = 0; r.Version = "x" },
			"version: \"x\" is not a version such as 0.6.19\npids: 0 is not between 8 and 4194304"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := testRelease()
			r.Env = maps.Clone(r.Env)
			c.change(&r)
			got := ""
			if err := r.Validate(); err != nil {
				got = strings.TrimPrefix(err.Error(), "the release is not valid:\n")
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.Contains(got, secret) {
				t.Error("the error prints a secret")
			}
		})
	}
}

func TestDigest(t *testing.T) {
	if got, want := testRelease().Digest(), "sha256:"+strings.Repeat("0123456789abcdef", 4); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	if got := (Release{Image: "clawft:latest"}).Digest(); got != "" {
		t.Errorf("a tag has the digest %s", got)
	}
}

// What only a deployment uses makes no other release, and everything else does.
func TestID(t *testing.T) {
	key := []byte("of this host")
	id := func(r Release) string {
		id, err := r.Staged().ID(key)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	want := id(testRelease())
	same := map[string]func(*Release){
		"Registry":      func(r *Release) { r.Registry = nil },
		"Signature":     func(r *Release) { r.Signature = &signature.Image{Payload: []byte("x")} },
		"HealthTimeout": func(r *Release) { r.HealthTimeout++ },
		"Watch":         func(r *Release) { r.Watch++ },
		"Drain":         func(r *Release) { r.Drain++ },
		"PullTimeout":   func(r *Release) { r.PullTimeout = 7 },
		"Owner.Gateway": func(r *Release) { r.Owner.Gateway = "gw-2" },
		"Owner.Stack":   func(r *Release) { r.Owner.Stack = "organization/clawft/dev" },
		"Owner.Takes":   func(r *Release) { r.Owner.Takes = []string{"0123456789abcdef/gw-1"} },
	}
	other := map[string]func(*Release){
		"Owner.ID":  func(r *Release) { r.Owner.ID = "fedcba9876543210" },
		"Image":     func(r *Release) { r.Image = strings.Replace(r.Image, "clawft@", "other@", 1) },
		"Version":   func(r *Release) { r.Version = "0.6.20" },
		"Config":    func(r *Release) { r.Config = json.RawMessage(`{"gateway":{}}`) },
		"Env":       func(r *Release) { r.Env = map[string]string{"OPENAI_API_KEY": "another"} },
		"Port":      func(r *Release) { r.Port++ },
		"MemoryMiB": func(r *Release) { r.MemoryMiB++ },
		"Pids":      func(r *Release) { r.Pids++ },
		"Spec":      func(r *Release) { r.Spec = 7 },
	}
	for name, change := range same {
		r := testRelease()
		change(&r)
		if got := id(r); got != want {
			t.Errorf("with another %s, it is another release", name)
		}
	}
	for name, change := range other {
		r := testRelease()
		change(&r)
		if got := id(r); got == want {
			t.Errorf("with another %s, it is the same release", name)
		}
	}
	// A new field has to be in one of the lists.
	text, _ := json.Marshal(Release{Registry: &RegistryLogin{}, Signature: &signature.Image{}, Spec: 1})
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for field := range fields {
		matches := func(name string) bool { return strings.EqualFold(strings.Split(name, ".")[0], field) }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(same)), matches) && !slices.ContainsFunc(slices.Collect(maps.Keys(other)), matches) {
			t.Errorf("it is not tested what %s does to the ID", field)
		}
	}
	theirs, err := testRelease().Staged().ID([]byte("of another host"))
	if err != nil || theirs == want {
		t.Errorf("an ID tells what a release contains: %s, error %v", theirs, err)
	}
	if _, err := (Release{Config: json.RawMessage("{")}).ID(key); err == nil {
		t.Error("what cannot be encoded has an ID")
	}
}

func TestStagedKeepsNoLogin(t *testing.T) {
	given := testRelease()
	given.Env, given.Owner.Takes = nil, []string{"0123456789abcdef/gw-0"}
	got := given.Staged()
	if got.Registry != nil || got.Owner.Takes != nil || got.Env == nil || got.Spec != Spec || got.PullTimeout != DefaultPullTimeout {
		t.Errorf("it is %+v", got)
	}
	if given.Registry == nil || given.Owner.Takes == nil {
		t.Error("what was given has changed")
	}
}
