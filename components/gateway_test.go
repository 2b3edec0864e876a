package components

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

const (
	gatewayImage  = "ghcr.io/clawft/clawft@" + builtDigest
	gatewayConfig = `{"gateway":{"apiEnabled":true,"apiPort":8080,"host":"0.0.0.0"}}`
)

// gatewayProgram registers a release on the host gw-1.
type gatewayProgram struct {
	host   func(*HostArgs)
	change func(*GatewayArgs)
}

func (p gatewayProgram) run(ctx *pulumi.Context) error {
	host, err := newTestHost(ctx, nil, p.host)
	if err != nil {
		return err
	}
	args := &GatewayArgs{
		Host:          host,
		Image:         pulumi.String(gatewayImage),
		Version:       "0.6.19",
		Config:        json.RawMessage(gatewayConfig),
		Port:          8080,
		MemoryMiB:     512,
		Pids:          256,
		HealthTimeout: 60,
		Watch:         10,
		Drain:         5,
	}
	if p.change != nil {
		p.change(args)
	}
	gateway, err := NewGateway(ctx, "gw-1", args)
	if err != nil {
		return err
	}
	shown := &struct{ pulumi.CustomResourceState }{}
	return ctx.RegisterResource("test:index:Shown", "shown", pulumi.Map{"image": gateway.Image, "report": gateway.Report}, shown)
}

func withSecrets(args *GatewayArgs) {
	args.Secrets = pulumi.StringMap{"ANTHROPIC_API_KEY": pulumi.String(canary + "-env")}
	args.PullCredentials = &RegistryCredentials{Server: "ghcr.io", Username: "puller", Password: pulumi.String(canary + "-registry")}
}

// demanded is a signature.Proof as JSON, of a key and of something.
const demanded = `{"keys":["-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEs0dkk0Ak4WtawBTXkshsDXplTN6s\nT6hXVyFyiKscAiK7ShqzCudihP8o6KdCHyPeQ12SQNncD8Icr5HSDPegMg==\n-----END PUBLIC KEY-----\n"],"payload":"e30=","signature":"c2lnbmVk"}`

func TestRelease(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*GatewayArgs)
		want   string
	}{
		{"of a public image without secrets", nil,
			`"env":{},`},
		{"with secrets and a registry that wants a login", withSecrets,
			`"env":{"ANTHROPIC_API_KEY":"` + canary + `-env"},"registry":{"address":"ghcr.io","username":"puller","password":"` + canary + `-registry"},`},
		{"with a signature", func(args *GatewayArgs) { args.Signature = pulumi.String(demanded) }, `"env":{},"signature":` + demanded + `,`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, gatewayProgram{existing(t, nil), test.change}.run)
				release := mustFind(t, r, commandType, "gw-1-release")
				wantSecret(t, release, "stdin")
				wantNoPlainText(t, r, canary)
				config, err := json.Marshal(gatewayConfig)
				if err != nil {
					t.Fatal(err)
				}
				if r.Preview { // the owner's ID is drawn
					wantInputs(t, release, map[string]string{"stdin": `"unknown"`})
					return
				}
				want := `{"owner":{"id":"` + ownerID + `","gateway":"gw-1","stack":"clawft/clawft/prod","takes":[]},"image":"` + gatewayImage + `","version":"0.6.19",` + test.want +
					`"port":8080,"memoryMiB":512,"pids":256,"healthTimeout":60,"watch":10,"drain":5,"pullTimeout":600,"config":` + string(config) + `}`
				if got := text(t, release, "stdin"); got != want {
					t.Errorf("the release is\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

func TestReleaseOfAnImageThatIsNotBuiltYet(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		mustRun(t, r, func(ctx *pulumi.Context) error {
			image, err := NewImage(ctx, "gateway", imageArgs())
			if err != nil {
				return err
			}
			return gatewayProgram{existing(t, nil), func(args *GatewayArgs) {
				withSecrets(args)
				args.Image = image.Ref
			}}.run(ctx)
		})
		release, shown := mustFind(t, r, commandType, "gw-1-release"), mustFind(t, r, "test:index:Shown", "shown")
		wantSecret(t, release, "stdin")
		wantNoPlainText(t, r, canary)
		if r.Preview {
			wantInputs(t, release, map[string]string{"stdin": `"unknown"`})
			wantInputs(t, shown, map[string]string{"image": `"unknown"`})
			return
		}
		if stdin := text(t, release, "stdin"); !strings.Contains(stdin, `"image":"`+gatewayImage+`"`) {
			t.Errorf("the release lacks %s", gatewayImage)
		}
		wantInputs(t, shown, map[string]string{"image": `"` + gatewayImage + `"`})
	})
}

// Until the deployment has verified it, nobody may take the image for one that runs.
func TestGatewayIsKnownWhenVerified(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		mustRun(t, r, gatewayProgram{existing(t, nil), withSecrets}.run)
		shown := mustFind(t, r, "test:index:Shown", "shown")
		image, report := `"`+gatewayImage+`"`, `"deployed none -> `+builtDigest+`"`
		if r.Preview {
			image, report = `"unknown"`, `"unknown"`
		}
		wantInputs(t, shown, map[string]string{"image": image, "report": report})
		if !slices.Contains(dependencies(shown), "gw-1-release") {
			t.Error("the image is known before the release is deployed")
		}
		for key, value := range shown.Inputs {
			if value.IsSecret() {
				t.Errorf("%s is secret, and no stack output would show it", key)
			}
		}
	})
}

func TestGatewayCommands(t *testing.T) {
	machine := `["` + fingerprint(t, 3) + `"]`
	for _, test := range []struct {
		name           string
		host           func(*HostArgs)
		create, delete string
		known          bool
		triggers       string
	}{
		{"as root", existing(t, nil), "/usr/local/lib/clawft/deploy # 0.6.19 on " + fingerprint(t, 3), "/usr/local/lib/clawft/remove", true, machine},
		{"as a user with sudo", existing(t, func(m *ExistingMachine) { m.User = "debian" }),
			"sudo -n /usr/local/lib/clawft/deploy # 0.6.19 on " + fingerprint(t, 3), "sudo -n /usr/local/lib/clawft/remove", true, machine},
		{"on a server", nil, "/usr/local/lib/clawft/deploy # 0.6.19 on 4711", "/usr/local/lib/clawft/remove", false, `["hcloud"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				r.IDs = map[string]string{"gw-1-server": "4711"}
				mustRun(t, r, gatewayProgram{test.host, nil}.run)
				release := mustFind(t, r, commandType, "gw-1-release")
				create, remove := `"`+test.create+`"`, `"`+test.delete+" "+ownerID+` gw-1"`
				if r.Preview && !test.known {
					create = `"unknown"`
				}
				if r.Preview {
					remove = `"unknown"`
				}
				wantInputs(t, release, map[string]string{
					"create":                 create,
					"delete":                 remove,
					"triggers":               test.triggers,
					"update":                 "null",
					"environment":            "null",
					"addPreviousOutputInEnv": "false",
				})
				wantSecret(t, release, "connection")
				if !release.Request.GetDeleteBeforeReplace() {
					t.Error("a replaced command deploys elsewhere before it removes the old gateway: two of them answer")
				}
				if !slices.Contains(dependencies(release), "gw-1-bootstrap") {
					t.Error("the release does not wait until the host is prepared")
				}
			})
		})
	}
}

func TestWhatDeploysAgain(t *testing.T) {
	run := func(t *testing.T, id string, program gatewayProgram) *recorder.Resource {
		r := newRecorder(t)
		r.IDs = map[string]string{"gw-1-server": id}
		mustRun(t, r, program.run)
		return mustFind(t, r, commandType, "gw-1-release")
	}
	other := strings.Replace(gatewayImage, "sha256:9", "sha256:8", 1)
	for _, test := range []struct {
		name  string
		id    string
		after gatewayProgram
		again bool
	}{
		{"nothing", "1", gatewayProgram{}, false},
		{"another machine", "2", gatewayProgram{}, true},
		{"a version", "1", gatewayProgram{change: func(args *GatewayArgs) { args.Version = "0.6.20" }}, true},
		{"an image", "1", gatewayProgram{change: func(args *GatewayArgs) { args.Image = pulumi.String(other) }}, true},
		{"a secret", "1", gatewayProgram{change: withSecrets}, true},
		{"a limit", "1", gatewayProgram{change: func(args *GatewayArgs) { args.MemoryMiB = 1024 }}, true},
		{"the key that logs in", "1", gatewayProgram{host: func(args *HostArgs) {
			args.Identity.PrivateKey = pulumi.ToSecret(pulumi.String("another")).(pulumi.StringOutput)
		}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, after := run(t, "1", gatewayProgram{}), run(t, test.id, test.after)
			changed := input(t, before, "stdin") != input(t, after, "stdin") || input(t, before, "create") != input(t, after, "create")
			if changed != test.again {
				t.Errorf("deploys again: %t, want %t", changed, test.again)
			}
		})
	}
}

func TestGatewayRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*GatewayArgs)
		want   string
	}{
		{"no host", func(args *GatewayArgs) { args.Host = nil }, "a gateway needs a host (GatewayArgs.Host)"},
		{"a tag", func(args *GatewayArgs) {
			withSecrets(args)
			args.Image = pulumi.String("ghcr.io/clawft/clawft:latest")
		}, `image: "ghcr.io/clawft/clawft:latest" is not repository@sha256:<64 hex digits>`},
		{"another port than the config's", func(args *GatewayArgs) {
			withSecrets(args)
			args.Port = 9090
		}, "config.gateway.apiPort: 8080 is not the release's port 9090"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t)
			err := r.Run(gatewayProgram{existing(t, nil), test.change}.run)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error shows a secret: %v", err)
			}
			if r.Find(commandType, "gw-1-release") != nil {
				t.Error("the deployment was registered")
			}
		})
	}
}

func fingerprint(t *testing.T, number byte) string {
	t.Helper()
	_, public := keyPair(t, number)
	named, err := fingerprintOf(public)
	if err != nil {
		t.Fatal(err)
	}
	return named
}
