package cloudinit

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/clawft/infra/host/release"
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
		Registry: &release.RegistryLogin{
			Address:  "registry.example.com:5000",
			Username: "clawft",
			Password: "a-password",
		},
		Port: 8080, MemoryMiB: 512, Pids: 256, HealthTimeout: 60, Watch: 15, Drain: 10,
	}
}

func TestReleaseJSON(t *testing.T) {
	got, err := testRelease().JSON()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/release.json", got+"\n")

	var fields struct{ Config string }
	if err := json.Unmarshal([]byte(got), &fields); err != nil {
		t.Fatal(err)
	}
	if fields.Config != testConfig {
		t.Errorf("the config arrives as %s, want it unchanged", fields.Config)
	}
}

func TestReleaseJSONRefusesWhatIsNotValid(t *testing.T) {
	if got, err := (Release{}).JSON(); err == nil || got != "" {
		t.Errorf("it rendered %q, error %v", got, err)
	}
}

func TestReleaseValidate(t *testing.T) {
	const secret = "a\nsecret"
	for _, c := range []struct {
		name   string
		change func(*Release)
		want   string
	}{
		{"nobody's", func(r *Release) { r.Owner = Owner{} },
			"owner.id: \"\" is not 16 hexadecimal digits\nowner.gateway: \"\" is not a host's name\nowner.stack: \"\" is not organization/project/stack"},
		{"taken from a name alone", func(r *Release) { r.Owner.Takes = []string{"gw-1"} },
			`owner.takes[0]: "gw-1" is not an owner and a gateway, such as 0123456789abcdef/gw-1`},
		{"a tag", func(r *Release) { r.Image = "ghcr.io/clawft/clawft:0.6.19"; r.Registry = nil },
			`image: "ghcr.io/clawft/clawft:0.6.19" is not repository@sha256:<64 hex digits>`},
		{"an upper case repository", func(r *Release) { r.Image = strings.ToUpper(r.Image); r.Registry = nil },
			`image: "REGISTRY.EXAMPLE.COM:5000/CLAWFT/CLAWFT@SHA256:` + strings.Repeat("0123456789ABCDEF", 4) + `" is not repository@sha256:<64 hex digits>`},
		{"a signature by anybody", func(r *Release) { r.Signature = &signature.Proof{} },
			"signature.keys: there is none; leave the signature out to demand none"},
		{"a key that is none", func(r *Release) { r.Signature = &signature.Proof{Keys: []string{"ssh-ed25519 AAAA"}} },
			"signature.keys[0]: it is not a public key in PEM format, beginning with -----BEGIN PUBLIC KEY-----"},
		{"a version with a v", func(r *Release) { r.Version = "v0.6.19" }, `version: "v0.6.19" is not a version such as 0.6.19`},
		{"a version that is a path", func(r *Release) { r.Version = "0.6.19-../x" }, `version: "0.6.19-../x" is not a version such as 0.6.19`},
		{"no memory", func(r *Release) { r.MemoryMiB = 0 }, `memoryMiB: 0 MiB is not between 16 and 1048576`},
		{"a long health timeout", func(r *Release) { r.HealthTimeout = 181 }, `healthTimeout: 181 s is not between 1 and 180`},
		{"a negative watch", func(r *Release) { r.Watch = -1 }, `watch: -1 s is not between 0 and 600`},
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
		{"a name that the unit sets", func(r *Release) { r.Env["HOME"] = "/" }, `env.HOME: the unit sets it; leave it out`},
		{"a value of two lines", func(r *Release) { r.Env["KEY"] = secret },
			`env.KEY: its value contains a line break or another control character, which an env file cannot hold`},
		{"a value that is not UTF-8", func(r *Release) { r.Env["KEY"] = "\xff" }, `env.KEY: its value is not UTF-8`},
		{"a long value", func(r *Release) { r.Env["KEY"] = strings.Repeat("x", maxEnvValue+1) },
			`env.KEY: its value is 61441 bytes long; at most 61440 fit into an env file's line`},
		{"no password", func(r *Release) { r.Registry.Password = "" },
			`registry: it needs both a username and a password; leave it out to pull anonymously`},
		{"another registry", func(r *Release) { r.Registry.Address = "ghcr.io" },
			`registry.address: "ghcr.io" is not the image's registry "registry.example.com:5000"`},
		{"Docker Hub", func(r *Release) {
			r.Image = "clawft/clawft@" + strings.Split(r.Image, "@")[1]
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
				got = strings.TrimPrefix(err.Error(), "release is not valid:\n")
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
