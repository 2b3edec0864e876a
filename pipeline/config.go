// Package pipeline reads and checks the configuration of a stack and deploys
// what it describes.
//
// A configuration is read strictly: unknown keys, wrong types and values that
// cannot work are all reported at once, before anything is registered. The
// types of this package, their comments and their `default` tags are the only
// description of the configuration; docs/config.md is made from them.
package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/internal/nearest"
)

// Config is the checked configuration of a stack.
type Config struct {
	Version string
	Image   Image
	Gateway Gateway
	// Secrets maps environment variables of the gateway to secret values.
	Secrets pulumi.StringMap
	Hosts   []Host
	Rollout Rollout
	SSH     SSH
	Protect bool
	// GitHub is nil in a stack that does not manage the gateway's repository.
	GitHub *GitHub
}

// settings is the configuration as it is written, one field per key of the
// project's namespace.
type settings struct {
	// Release to deploy: a semantic version without "v". The gateway must report
	// it, or the deployment is rolled back. Required.
	Version string `json:"version"`
	// Image that the hosts run, and where it comes from. Required.
	Image Image `json:"image"`
	// How the gateway runs, and its own configuration.
	Gateway Gateway `json:"gateway"`
	// Environment variables of the gateway that are secret, by name: API keys
	// and channel tokens. They reach a host as a file that only root reads.
	Secrets map[string]string `json:"secrets" secret:"true"`
	// Machines that run the gateway. The first one is the canary: the others
	// follow when it is verified. Absent: this stack has no machines. A changed
	// name, `hcloud.image` or `hcloud.location` replaces a server, and with it
	// the gateway's data; a changed `hcloud.type` resizes it in place, with a
	// reboot. Nothing else replaces one.
	Hosts []Host `json:"hosts"`
	// In which order hosts change.
	Rollout Rollout `json:"rollout"`
	// How the machines are reached.
	SSH SSH `json:"ssh"`
	// Private key that logs in to the machines, in OpenSSH or PEM format and
	// without a passphrase. Required with existing machines; otherwise a key is
	// generated in the stack. A changed key is added to the machines with the one
	// before it, which they accept no longer afterwards (docs/keys.md).
	SSHPrivateKey string `json:"sshPrivateKey" secret:"true"`
	// Password or token that belongs to `image.username` and may push.
	RegistryPassword string `json:"registryPassword" secret:"true"`
	// Token that reads a private git repository, `image.source`, whose address begins
	// with https. It reaches the build as a secret of BuildKit's, which is in neither
	// the image nor a log; another token builds nothing again.
	SourceToken string `json:"sourceToken" secret:"true"`
	// Private key that signs what this stack builds: of the curve P-256, in PEM
	// format and without a passphrase, as `openssl genpkey -algorithm EC -pkeyopt
	// ec_paramgen_curve:P-256` makes one. Default: a key that is generated in the
	// stack. One that is kept elsewhere too can outlive the stack.
	SigningKey string `json:"signingKey" secret:"true"`
	// Token with which the hosts pull a private image. Public images need none.
	RegistryPullToken string `json:"registryPullToken" secret:"true"`
	// Guards servers and their addresses against deletion, by Pulumi and by the
	// Hetzner API. Set it to false and run `pulumi up` before a destroy.
	Protect bool `json:"protect" default:"false"`
	// The gateway's own repository: workflows, rulesets, environment. Absent:
	// this stack does not manage it. One stack at most should.
	GitHub *GitHub `json:"github"`
	// GitHub Actions secrets to set in the gateway's repository, by name.
	ActionsSecrets map[string]string `json:"actionsSecrets" secret:"true"`
}

// Load reads and checks the configuration of the stack. The error is a
// *ConfigError that lists every problem.
func Load(ctx *pulumi.Context) (*Config, error) {
	l := &loader{ctx: ctx, report: newReport(ctx.Stack())}
	given := l.read()
	l.check(given)
	if err := l.report.err(); err != nil {
		return nil, err
	}
	for _, warning := range given.Gateway.warnings(l.key("gateway.config")) {
		if err := ctx.Log.Warn(warning, nil); err != nil {
			return nil, fmt.Errorf("logging a warning: %w", err)
		}
	}
	return given.config(), nil
}

// Environment is the gateway's environment: the secrets, and what the pipeline
// sets itself.
func (c *Config) Environment() pulumi.StringMap {
	environment := maps.Clone(c.Secrets)
	if environment == nil {
		environment = pulumi.StringMap{}
	}
	environment[logLevelVariable] = pulumi.String(c.Gateway.LogLevel)
	return environment
}

type loader struct {
	ctx    *pulumi.Context
	report *report
}

// key is the full path of a key in the project's namespace.
func (l *loader) key(path string) string {
	return l.ctx.Project() + ":" + path
}

// read decodes every key of the project's namespace.
func (l *loader) read() *settings {
	given := &settings{}
	target := reflect.ValueOf(given).Elem()
	setDefaults(target)
	fields := configFields(target.Type())
	l.rejectUnknownKeys(l.key(""), slices.Sorted(maps.Keys(fields)))
	for _, plugin := range components.Plugins() {
		l.rejectUnknownKeys(plugin+":", components.PluginSettings(plugin))
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		field := target.Type().Field(fields[key])
		l.readKey(key, field, target.Field(fields[key]))
	}
	return given
}

func (l *loader) readKey(key string, field reflect.StructField, target reflect.Value) {
	path := l.key(key)
	text, err := config.New(l.ctx, "").Try(key)
	if err != nil { // absent
		return
	}
	encrypted := l.ctx.IsConfigSecret(path)
	secret := field.Tag.Get("secret") == "true"
	value, err := parse(text, target.Kind())
	switch {
	case err != nil:
		(&decoder{report: l.report}).wrongType(path, kindOf(text), "a value of the type that Pulumi.yaml declares")
		return
	case isEmpty(value): // the default that Pulumi.yaml declares for what is optional
		return
	case encrypted && !secret:
		l.report.wrong(path, "a value that contains a secret",
			"no secret here, because the value ends up in plain text; secrets belong in %s", l.key("secrets"))
		return
	case secret && !encrypted:
		l.report.wrong(path, "a value in plain text", "an encrypted one: %s", l.report.setSecretCommand(secretKey(path, value)))
		return
	}
	(&decoder{report: l.report, secret: secret}).decode(path, value, target)
}

// secretKey is the key to set again, encrypted.
func secretKey(path string, value any) string {
	if object, ok := value.(map[string]any); ok {
		return path + "." + slices.Sorted(maps.Keys(object))[0]
	}
	return path
}

// parse reads a configuration value: plain text for strings, JSON for the rest.
func parse(text string, kind reflect.Kind) (any, error) {
	if kind == reflect.String {
		return text, nil
	}
	decoder := json.NewDecoder(bytes.NewBufferString(text))
	decoder.UseNumber() // a float would turn 8080 into 8.08e3 in a message
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("parsing JSON: %w", err)
	}
	return value, nil
}

func isEmpty(value any) bool {
	switch value := value.(type) {
	case string:
		return value == ""
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return value == nil
}

// rejectUnknownKeys reports keys of a namespace, such as "clawft:", that do not
// exist. The SDK
// has no call that lists a stack's keys, so they come from the variable in
// which a language host passes them on.
func (l *loader) rejectUnknownKeys(prefix string, known []string) {
	var all map[string]string
	if err := json.Unmarshal([]byte(os.Getenv(pulumi.EnvConfig)), &all); err != nil {
		return // not started by a language host
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		key := path[min(len(prefix), len(path)):]
		if path != prefix+key || slices.Contains(known, key) {
			continue
		}
		l.report.wrong(path, "an unknown key", "%s", suggest(nearest.To(key, known), known))
	}
}

// check reports everything that can be read but cannot work.
func (l *loader) check(given *settings) {
	r := l.report
	checkVersion(r, l.key("version"), given.Version)
	given.Image.check(r, l.key("image"), given.Version, l.ctx.RootDirectory())
	given.Image.checkLogins(r, l.key(""), given)
	given.Image.checkSourceToken(r, l.key(""), given.SourceToken)
	given.Image.checkKeys(r, l.key(""), given.SigningKey)
	given.Gateway.check(r, l.key("gateway"), given.Version)
	checkSecrets(r, l.key("secrets"), given.Secrets)
	given.Gateway.checkVariables(r, l.key("gateway.config"), l.key("secrets"), given.Secrets)
	checkHosts(r, l.key("hosts"), given.Hosts)
	given.Rollout.check(r, l.key("rollout"))
	checkPlatforms(r, l.key(""), given.Hosts, given.Image.Platforms)
	given.SSH.check(r, l.key("ssh"))
	given.SSH.checkKey(r, l.key("sshPrivateKey"), given.SSHPrivateKey, given.Hosts)
	given.GitHub.check(r, l.key("github"))
	checkActionsSecrets(r, l.key("actionsSecrets"), given)
	l.checkCredentials()
	l.checkToken(slices.ContainsFunc(given.Hosts, func(host Host) bool { return host.Hcloud != nil }), "hcloud:token", "HCLOUD_TOKEN",
		"an API token with read and write access to the Hetzner project")
	if !l.checkApp() {
		l.checkToken(given.GitHub != nil, "github:token", "GITHUB_TOKEN",
			"a token that may administer the gateway's repository")
	}
}

// checkCredentials demands that what plugins are configured with is encrypted where
// it is a credential.
func (l *loader) checkCredentials() {
	for _, plugin := range components.Plugins() {
		for _, setting := range components.PluginSettings(plugin) {
			key := plugin + ":" + setting
			value, given := l.ctx.GetConfig(key)
			// An object may do without its password, such as a proxy's.
			object := strings.ContainsAny(value, "{[") && !strings.Contains(value, `"password"`) && !strings.Contains(value, `"pemFile"`)
			if given && !object && components.Credential(key) && !l.ctx.IsConfigSecret(key) {
				l.report.wrong(key, "a value in plain text", "an encrypted one: %s", l.report.setSecretCommand(key))
			}
		}
	}
}

// checkApp looks at the GitHub App with which the plugin may log in instead of with a
// token, and tells whether there is one.
func (l *loader) checkApp() bool {
	const key = "github:appAuth"
	text, given := l.ctx.GetConfig(key)
	if !given {
		return false
	}
	if _, both := l.ctx.GetConfig("github:token"); both {
		l.report.wrong("github:token", "a token beside github:appAuth", "one of the two: pulumi config rm --stack %s github:token", l.report.stack)
	}
	var app map[string]any
	if err := json.Unmarshal([]byte(text), &app); err != nil {
		l.report.wrong(key, "a value that is no object", "an object of id, installationId and pemFile: %s", l.report.setSecretCommand(key+".pemFile"))
		return true
	}
	fields := []string{"id", "installationId", "pemFile"}
	for _, field := range fields {
		if value := app[field]; value == nil || value == "" {
			l.report.wrong(key+"."+field, nothing, "what GitHub shows of the App: %s", l.report.setSecretCommand(key+"."+field))
		}
	}
	for _, field := range slices.Sorted(maps.Keys(app)) {
		if !slices.Contains(fields, field) {
			l.report.wrong(key+"."+field, "an unknown key", "%s", suggest(nearest.To(field, fields), fields))
		}
	}
	return true
}

// checkToken notices that the token of a cloud which the stack needs is missing,
// before the first request fails.
func (l *loader) checkToken(needed bool, key, variable, want string) {
	if _, given := l.ctx.GetConfig(key); given || !needed {
		return
	}
	if os.Getenv(variable) == "" {
		l.report.wrong(key, nothing, "%s: %s, or the environment variable %s", want, l.report.setSecretCommand(key), variable)
	}
}

// config turns checked settings into what the pipeline works with.
func (s *settings) config() *Config {
	c := &Config{
		Version: s.Version,
		Image:   s.Image,
		Gateway: s.Gateway,
		Secrets: secretMap(s.Secrets),
		Hosts:   s.Hosts,
		Rollout: s.Rollout,
		SSH:     s.SSH,
		Protect: s.Protect,
		GitHub:  s.GitHub,
	}
	c.Image.complete(s)
	for i := range c.Hosts {
		c.Hosts[i].complete()
	}
	c.SSH.complete(s.SSHPrivateKey)
	if c.GitHub != nil {
		c.GitHub.Secrets = secretMap(s.ActionsSecrets)
	}
	return c
}

func secret(value string) pulumi.StringInput {
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}

func secretMap(values map[string]string) pulumi.StringMap {
	secrets := pulumi.StringMap{}
	for name, value := range values {
		secrets[name] = secret(value)
	}
	return secrets
}
