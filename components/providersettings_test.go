package components

import (
	"fmt"
	"reflect"
	"regexp"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

// everything is a stack that uses all plugins.
var everything = ProvidersArgs{Hcloud: &HcloudProviderArgs{}, GitHub: &GitHubProviderArgs{Owner: "clawft"}, Build: true, MakeBuilder: true}

// Whatever a plugin can be told reaches the provider that takes the place of the
// one that Pulumi would tell it.
func TestPluginSettingsArrive(t *testing.T) {
	known := 0
	for _, plugin := range Plugins() {
		for _, key := range PluginSettings(plugin) {
			known++
			for _, secret := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s:%s, secret: %v", plugin, key, secret), func(t *testing.T) {
					inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
						path := plugin + ":" + key
						r.Config = map[string]string{path: canary}
						want := `"` + canary + `"`
						if path == "github:owner" {
							want = `"clawft"` // whose repository the stack manages
						} else if secret {
							r.SecretKeys = []string{path}
						}
						mustRun(t, r, func(ctx *pulumi.Context) error {
							_, err := NewProviders(ctx, &everything)
							return err
						})
						provider := mustFind(t, r, providerPrefix+plugin, plugin)
						wantInputs(t, provider, map[string]string{key: want})
						if len(r.SecretKeys) > 0 || Credential(path) {
							wantSecret(t, provider, key)
							wantNoPlainText(t, r, canary)
						}
					})
				})
			}
		}
	}
	if known < 28 {
		t.Errorf("the plugins have %d settings only", known)
	}
}

// Whatever names itself a credential is one, also within an object.
func TestCredentialsOfPlugins(t *testing.T) {
	names := regexp.MustCompile(`(?i)(token|password|secret|pem|keyMaterial|private_?key)$|^pem`)
	var holds func(kind reflect.Type, name string) bool
	holds = func(kind reflect.Type, name string) bool {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct {
			return names.MatchString(name)
		}
		for field := range kind.Fields() {
			if holds(field.Type, field.Tag.Get("pulumi")) {
				return true
			}
		}
		return false
	}
	found := 0
	for _, plugin := range Plugins() {
		args := pluginArgs[plugin].ElementType()
		if args.Kind() != reflect.Struct {
			continue
		}
		for field := range args.Fields() {
			path := plugin + ":" + field.Tag.Get("pulumi")
			is := holds(field.Type, field.Tag.Get("pulumi"))
			if is != Credential(path) {
				t.Errorf("%s holds a credential: %v, and is treated as one: %v", path, is, Credential(path))
			}
			if is {
				found++
			}
		}
	}
	if found != len(credential) {
		t.Errorf("%d settings are credentials, and %d are listed", found, len(credential))
	}
}

// A host that a stack configures can be changed, unlike DOCKER_HOST.
func TestConfiguredDockerHostIsNotIgnored(t *testing.T) {
	for _, plugin := range []string{"docker", "docker-build"} {
		for _, given := range []bool{false, true} {
			r := newRecorder(t)
			if given {
				r.Config = map[string]string{plugin + ":host": "ssh://builder.example.org"}
			}
			mustRun(t, r, func(ctx *pulumi.Context) error {
				_, err := NewProviders(ctx, &everything)
				return err
			})
			ignored := mustFind(t, r, providerPrefix+plugin, plugin).Request.GetIgnoreChanges()
			if (len(ignored) == 0) != given {
				t.Errorf("%s:host, configured: %v: changes of %q are ignored", plugin, given, ignored)
			}
		}
	}
}
