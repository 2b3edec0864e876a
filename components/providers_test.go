package components

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

const providerPrefix = "pulumi:providers:"

func TestProvidersAreThoseThatAreUsed(t *testing.T) {
	for _, test := range []struct {
		name string
		args ProvidersArgs
		want []string
	}{
		{"existing machines and an image that exists", ProvidersArgs{}, []string{"command", "tls"}},
		{"servers", ProvidersArgs{Hcloud: &HcloudProviderArgs{}}, []string{"cloudinit", "command", "hcloud", "tls"}},
		// The docker plugin wants a Docker daemon, even in a preview.
		{"a build", ProvidersArgs{Build: true}, []string{"command", "docker-build", "tls"}},
		{"a build with a builder to make", ProvidersArgs{Build: true, MakeBuilder: true}, []string{"command", "docker", "docker-build", "tls"}},
		{"a repository", ProvidersArgs{GitHub: &GitHubProviderArgs{Owner: "clawft"}}, []string{"command", "github", "tls"}},
		{"everything", ProvidersArgs{Hcloud: &HcloudProviderArgs{}, GitHub: &GitHubProviderArgs{Owner: "clawft"}, Build: true, MakeBuilder: true},
			[]string{"cloudinit", "command", "docker", "docker-build", "github", "hcloud", "tls"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, func(ctx *pulumi.Context) error {
					_, err := NewProviders(ctx, &test.args)
					return err
				})
				var got []string
				for _, registered := range r.Resources() {
					if name, ok := strings.CutPrefix(registered.Type, providerPrefix); ok {
						got = append(got, name)
					}
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("the providers are %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestProviderCredentials(t *testing.T) {
	token := pulumi.StringPtr(canary)
	for _, test := range []struct {
		name string
		args ProvidersArgs
		of   string
		want map[string]string
	}{
		{"of Hetzner", ProvidersArgs{Hcloud: &HcloudProviderArgs{Token: token, Endpoint: pulumi.StringPtr("http://127.0.0.1:1/v1")}},
			"hcloud", map[string]string{"token": `"` + canary + `"`, "endpoint": `"http://127.0.0.1:1/v1"`}},
		{"of Hetzner, left to the plugin", ProvidersArgs{Hcloud: &HcloudProviderArgs{}},
			"hcloud", map[string]string{"token": "null", "endpoint": "null"}},
		{"of GitHub", ProvidersArgs{GitHub: &GitHubProviderArgs{Owner: "clawft", Token: token, BaseURL: pulumi.StringPtr("https://git.example.org/")}},
			"github", map[string]string{"token": `"` + canary + `"`, "owner": `"clawft"`, "baseUrl": `"https://git.example.org/"`}},
		{"of GitHub, left to the plugin", ProvidersArgs{GitHub: &GitHubProviderArgs{Owner: "clawft"}},
			"github", map[string]string{"token": "null", "baseUrl": "null", "owner": `"clawft"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				// A token that only the plugin reads must not get into the state.
				t.Setenv("HCLOUD_TOKEN", canary+"-environment")
				t.Setenv("GITHUB_TOKEN", canary+"-environment")
				t.Setenv("GITHUB_BASE_URL", "https://elsewhere.example.org/")
				mustRun(t, r, func(ctx *pulumi.Context) error {
					_, err := NewProviders(ctx, &test.args)
					return err
				})
				wantInputs(t, mustFind(t, r, providerPrefix+test.of, test.of), test.want)
				wantNoPlainText(t, r, canary)
			})
		})
	}
}

// With no default provider, whatever lacks an explicit one fails.
func TestComponentsUseTheExplicitProviders(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		mustRun(t, r, func(ctx *pulumi.Context) error {
			providers, err := NewProviders(ctx, &ProvidersArgs{Hcloud: &HcloudProviderArgs{}, Build: true})
			if err != nil {
				return err
			}
			use := providers.Option()
			image, err := NewImage(ctx, "gateway", imageArgs(), use)
			if err != nil {
				return err
			}
			identity, err := NewIdentity(ctx, "ssh", &IdentityArgs{}, use)
			if err != nil {
				return err
			}
			owner, err := NewOwner(ctx, "owner", use)
			if err != nil {
				return err
			}
			access, err := NewAccess(ctx, "access", &AccessArgs{FirstBootKey: identity.FirstBootKey, Owner: owner, Hetzner: emptyHetzner()}, use)
			if err != nil {
				return err
			}
			host, err := NewHost(ctx, "gw-1", &HostArgs{
				Server: &HcloudServer{Type: "cax11", Location: "nbg1", Image: "debian-12"}, Access: access, Identity: identity,
				Owner: owner,
			}, use)
			if err != nil {
				return err
			}
			_, err = NewGateway(ctx, "gw-1", &GatewayArgs{
				Host: host, Image: image.Ref, Version: "0.6.19", Config: []byte(gatewayConfig), Port: 8080, MemoryMiB: 512, Pids: 256, HealthTimeout: 60,
			}, use)
			return err
		})
		checked := 0
		for _, registered := range r.Resources() {
			// What the engine keeps itself has no provider.
			if !registered.Custom || registered.Type == stashType || strings.HasPrefix(registered.Type, providerPrefix) {
				continue
			}
			checked++
			plugin, _, _ := strings.Cut(registered.Type, ":")
			if want := "::" + providerPrefix + plugin + "::" + plugin + "::"; !strings.Contains(registered.Request.GetProvider(), want) {
				t.Errorf("%s %s has the provider %q", registered.Type, registered.Name, registered.Request.GetProvider())
			}
		}
		if checked != 12 {
			t.Errorf("%d resources were checked", checked)
		}
	})
}

func TestGitHubPluginIsTheVersionOfTheSDK(t *testing.T) {
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(module), "github.com/pulumi/pulumi-github/sdk/v6 v"+githubVersion+"\n") {
		t.Errorf("go.mod has another version of pulumi-github than %s", githubVersion)
	}
}
