package pipeline

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// minimal is the smallest configuration that loads, by key, in YAML.
var minimal = map[string]string{
	"version": "0.6.19",
	"image":   "{repository: ghcr.io/clawft/clawft, digest: '" + digest + "'}",
}

// with returns the minimal configuration with other keys set. A key without a
// namespace is one of the project.
func with(keys map[string]string) stackFile {
	all := maps.Clone(minimal)
	maps.Copy(all, keys)
	text := "config:\n"
	for _, key := range slices.Sorted(maps.Keys(all)) {
		value := all[key]
		if value == "" {
			continue
		}
		if !strings.Contains(key, ":") {
			key = "clawft:" + key
		}
		text += "  " + key + ": " + value + "\n"
	}
	return stackFile(text)
}

// wrongConfig is a configuration and every problem that it has.
type wrongConfig struct {
	name string
	keys map[string]string
	want []string
}

func testWrong(t *testing.T, cases []wrongConfig) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := with(c.keys).load(t, "dev")
			checkProblems(t, err, c.want)
		})
	}
}

func checkProblems(t *testing.T, err error, want []string) {
	t.Helper()
	var wrong *ConfigError
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v, want a ConfigError", err)
	}
	var got []string
	for _, problem := range wrong.Problems {
		got = append(got, problem.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestMinimalConfigTakesAllDefaults(t *testing.T) {
	cfg, err := with(nil).load(t, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Image.SizeLimitMiB != 50 || cfg.Image.Dockerfile != "Dockerfile" || cfg.Image.Builder != (Builder{}) {
		t.Errorf("image: got %+v", cfg.Image)
	}
	if !slices.Equal(cfg.Image.Platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("platforms: got %v", cfg.Image.Platforms)
	}
	gateway := cfg.Gateway
	if gateway.Port != 8080 || gateway.MemoryMiB != 512 || gateway.Pids != 256 || gateway.HealthTimeout != 60 || gateway.Watch != 10 || gateway.Drain != 10 {
		t.Errorf("gateway: got %+v", gateway)
	}
	if cfg.Protect || cfg.GitHub != nil || len(cfg.Hosts) != 0 || cfg.SSH.PrivateKey != nil || cfg.Image.Push != nil || cfg.Image.Pull != nil {
		t.Errorf("got %+v, want nothing that was not asked for", cfg)
	}
}

func TestEverythingIsReportedAtOnceInOrder(t *testing.T) {
	_, err := with(map[string]string{
		"version": "v0.6.19",
		"image":   "{repository: ghcr.io/clawft/clawft:1, digest: '" + digest + "', platform: [linux/amd64]}",
		"gateway": "{port: 80, memory: 512, config: {gateway: {host: 127.0.0.1}}}",
		"hosts":   "[{name: gw-1, address: 203.0.113.7}, {name: gw-1, hcloud: {typ: cax11}}]",
	}).load(t, "dev")
	const want = `11 problems in the configuration of stack dev; nothing was changed:
  clawft:gateway.config.gateway.host: got a value; want no host, because the pipeline sets it: 0.0.0.0 inside the container, which is published on 127.0.0.1 of its host only
  clawft:gateway.memory: got an unknown key; want "memoryMiB"
  clawft:gateway.port: got 80; want 1024 to 65535, because the gateway does not run as root
  clawft:hosts[0].hostKey: got nothing; want the machine's SSH host key, one line such as "ssh-ed25519 AAAA…"; read it on the machine, from /etc/ssh/ssh_host_ed25519_key.pub, or verify what ` + "`ssh-keyscan -t ed25519 203.0.113.7`" + ` prints
  clawft:hosts[1].hcloud.typ: got an unknown key; want "type"
  clawft:hosts[1].name: got "gw-1", the name of clawft:hosts[0]; want a name that no other host has
  clawft:image.platform: got an unknown key; want "platforms"
  clawft:image.repository: got "ghcr.io/clawft/clawft:1"; want ghcr.io/clawft/clawft, without a tag: the version names the release
  clawft:sshPrivateKey: got nothing; want the private key that logs in to the existing machine gw-1: pulumi config set --stack dev --secret clawft:sshPrivateKey < ~/.ssh/id_ed25519
  clawft:version: got "v0.6.19"; want a semantic version without "v" and without build metadata, such as 0.6.19
  hcloud:token: got nothing; want an API token with read and write access to the Hetzner project: pulumi config set --stack dev --secret hcloud:token, or the environment variable HCLOUD_TOKEN`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestWrongKeysAndTypes(t *testing.T) {
	testWrong(t, []wrongConfig{
		{"nothing given", map[string]string{"version": "", "image": ""}, []string{
			"clawft:image: got none of source, digest and promoteFrom; want one of them: digest to deploy an image that exists, promoteFrom to take another stack's, or source to build one: pulumi config set --stack dev --path 'clawft:image.source' https://github.com/weave-logic-ai/clawft.git",
			"clawft:image.repository: got nothing; want the image's registry and repository: pulumi config set --stack dev --path 'clawft:image.repository' ghcr.io/clawft/clawft",
			"clawft:version: got nothing; want the release to deploy, such as 0.6.19: pulumi config set --stack dev clawft:version 0.6.19",
		}},
		{"unknown key without a likely meaning", map[string]string{"ssh": "{verbosity: 3}"}, []string{
			"clawft:ssh.verbosity: got an unknown key; want one of allowedSources, authorizedKeys",
		}},
		{"snake_case", map[string]string{"gateway": "{memory_mib: 512}"}, []string{
			`clawft:gateway.memory_mib: got an unknown key; want "memoryMiB"`,
		}},
		{"snake_case of the gateway's own", map[string]string{"gateway": "{config: {channels: {telegram: {token_env: X}}, gateway: {api_port: 1}}}"}, []string{
			"clawft:gateway.config.channels.telegram.token_env: got X, which is not among the secrets; want a secret of that name: pulumi config set --stack dev --secret --path 'clawft:secrets.X'",
			"clawft:gateway.config.gateway.api_port: got a value; want the key gateway.port of the stack",
		}},
		{"number in quotes", map[string]string{"gateway": "{port: '8080'}"}, []string{
			`clawft:gateway.port: got "8080"; want a whole number, without quotes or unit`,
		}},
		{"number with a unit", map[string]string{"gateway": "{watch: 10s}"}, []string{
			`clawft:gateway.watch: got "10s"; want a whole number, without quotes or unit`,
		}},
		{"fraction", map[string]string{"gateway": "{pids: 1.5}"}, []string{
			"clawft:gateway.pids: got 1.5; want a whole number, without quotes or unit",
		}},
		{"number as a string", map[string]string{"image": "{repository: r.example/x, digest: '" + digest + "', buildArgs: {JOBS: 4}}"}, []string{
			"clawft:image.buildArgs.JOBS: got 4; want a string; put it in quotes",
		}},
		{"boolean in quotes", map[string]string{"gateway": "{config: {tools: {restrictToWorkspace: 'yes'}}}"}, []string{
			`clawft:gateway.config.tools.restrictToWorkspace: got "yes"; want true or false, without quotes`,
		}},
		{"a list is one entry", map[string]string{"image": "{repository: r.example/x, digest: '" + digest + "', platforms: linux/amd64}"}, []string{
			`clawft:image.platforms: got a string; want a list`,
		}},
		{"an object is a string", map[string]string{"hosts": "[gw-1]"}, []string{
			`clawft:hosts[0]: got a string; want an object with keys out of address, giveUp, hcloud, hostKey, name, port, takeOver, user, was`,
		}},
		{"an empty entry", map[string]string{"ssh": "{allowedSources: [~]}"}, []string{
			"clawft:ssh.allowedSources[0]: got nothing; want a value, or no entry at all",
		}},
		{"a whole block of the wrong type", map[string]string{"image": "ghcr.io/clawft/clawft"}, []string{
			"clawft:image: got a string; want a value of the type that Pulumi.yaml declares",
		}},
		{"a secret in plain text", map[string]string{"secrets": "{OPENAI_API_KEY: canary}"}, []string{
			"clawft:secrets: got a value in plain text; want an encrypted one: pulumi config set --stack dev --secret --path 'clawft:secrets.OPENAI_API_KEY'",
		}},
		{"a secret where none belongs", map[string]string{"gateway": "{config: {agents: {defaults: {model: {secure: canary}}}}}"}, []string{
			"clawft:gateway: got a value that contains a secret; want no secret here, because the value ends up in plain text; secrets belong in clawft:secrets",
		}},
		{"a token of GitHub in plain text", map[string]string{"github:token": "canary", "github": githubBlock}, []string{
			"github:token: got a value in plain text; want an encrypted one: pulumi config set --stack dev --secret github:token",
		}},
		{"a GitHub App in plain text, beside a token", map[string]string{"github:appAuth": "{id: 1, pemFile: canary, pem: canary}", "github:token": "{secure: x}", "github": githubBlock}, []string{
			"github:appAuth: got a value in plain text; want an encrypted one: pulumi config set --stack dev --secret github:appAuth",
			"github:appAuth.installationId: got nothing; want what GitHub shows of the App: pulumi config set --stack dev --secret --path 'github:appAuth.installationId'",
			"github:appAuth.pem: got an unknown key; want one of id, installationId, pemFile",
			"github:token: got a token beside github:appAuth; want one of the two: pulumi config rm --stack dev github:token",
		}},
		{"a GitHub App that is none", map[string]string{"github:appAuth": "{secure: canary}", "github": githubBlock}, []string{
			"github:appAuth: got a value that is no object; want an object of id, installationId and pemFile: pulumi config set --stack dev --secret --path 'github:appAuth.pemFile'",
		}},
		{"a token in plain text", map[string]string{"hcloud:token": "canary", "hosts": "[{name: a, hcloud: {}}]"}, []string{
			"hcloud:token: got a value in plain text; want an encrypted one: pulumi config set --stack dev --secret hcloud:token",
		}},
	})
}

func TestVersions(t *testing.T) {
	wrong := func(version, given, example string) wrongConfig {
		return wrongConfig{version, map[string]string{"version": "'" + version + "'"}, []string{
			"clawft:version: got " + given + `; want a semantic version without "v" and without build metadata, such as ` + example,
		}}
	}
	testWrong(t, []wrongConfig{
		wrong("v1.2.3", `"v1.2.3"`, "1.2.3"),
		wrong("1.2", `"1.2"`, "0.6.19 or 1.0.0-rc.1"),
		wrong("1.02.3", `"1.02.3"`, "0.6.19 or 1.0.0-rc.1"),
		wrong("latest", `"latest"`, "0.6.19 or 1.0.0-rc.1"),
		wrong("1.2.3+build", `"1.2.3+build"`, "0.6.19 or 1.0.0-rc.1"),
		wrong("1.2.3 ", `"1.2.3 "`, "0.6.19 or 1.0.0-rc.1"),
	})
	for _, version := range []string{"0.6.19", "1.0.0-rc.1", "10.20.30"} {
		if cfg, err := with(map[string]string{"version": version}).load(t, "dev"); err != nil || cfg.Version != version {
			t.Errorf("%s: got %v", version, err)
		}
	}
}

// The SDK cannot list a stack's keys; a language host passes them on in the
// environment.
func TestUnknownTopLevelKeys(t *testing.T) {
	t.Setenv(pulumi.EnvConfig, `{"clawft:version":"0.6.19","clawft:gatway":"{}","clawft:colour":"red","other:gatway":"{}","hcloud:pollIntervall":"1s","github:writeDelayMs":"0","command:colour":"red"}`)
	_, err := with(nil).load(t, "dev")
	checkProblems(t, err, []string{
		"clawft:colour: got an unknown key; want one of actionsSecrets, gateway, github, hosts, image, protect, registryPassword, registryPullToken, rollout, secrets, signingKey, sourceToken, ssh, sshPrivateKey, version",
		`clawft:gatway: got an unknown key; want "gateway"`,
		"command:colour: got an unknown key; want none: there is nothing to configure",
		`hcloud:pollIntervall: got an unknown key; want "pollInterval"`,
	})
}

// A GitHub App takes the place of a token.
func TestGitHubApp(t *testing.T) {
	if _, err := with(map[string]string{
		"github": githubBlock, "github:appAuth": "{id: 1, installationId: '2', pemFile: {secure: canary}}",
	}).load(t, "dev"); err != nil {
		t.Error(err)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	cfg, err := with(map[string]string{
		"image":             "{repository: ghcr.io/clawft/clawft, source: src, username: bot}",
		"secrets":           "{OPENAI_API_KEY: {secure: canary-key}}",
		"registryPassword":  "{secure: canary-password}",
		"registryPullToken": "{secure: canary-token}",
		"github":            githubBlock,
		"github:token":      "{secure: x}",
		"actionsSecrets":    "{PULUMI_ACCESS_TOKEN: {secure: canary-actions}}",
	}).load(t, "dev")
	if err != nil {
		t.Fatal(err)
	}
	for want, input := range map[string]pulumi.StringInput{
		"canary-key":      cfg.Environment()["OPENAI_API_KEY"],
		"canary-password": cfg.Image.Push.Password,
		"canary-token":    cfg.Image.Pull.Password,
		"canary-actions":  cfg.GitHub.Secrets["PULUMI_ACCESS_TOKEN"],
	} {
		if got := plain(t, input); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := cfg.Environment()["RUST_LOG"]; got != pulumi.String("warn") {
		t.Errorf("RUST_LOG: got %v, want warn", got)
	}
	if _, mixed := cfg.Secrets["RUST_LOG"]; mixed {
		t.Error("the environment changed the secrets")
	}
	if cfg.Image.Pull.Username != "bot" || cfg.Image.Pull.Server != "ghcr.io" {
		t.Errorf("pull: got %s at %s, want bot at ghcr.io", cfg.Image.Pull.Username, cfg.Image.Pull.Server)
	}
}

// Nothing of a secret that is wrong may show, wherever it is wrong.
func TestProblemsShowNoSecrets(t *testing.T) {
	_, err := with(map[string]string{
		"image":             "{repository: ghcr.io/clawft/clawft, source: 'https://canary-user:canary-word@example.org/x.git', buildArgs: {API_TOKEN: canary-arg}}",
		"secrets":           "{lower: {secure: canary-lower}, LINES: {secure: \"canary\\nlines\"}, HOME: {secure: canary-home}}",
		"sshPrivateKey":     "{secure: canary-ssh-key}",
		"registryPullToken": "{secure: canary-pull}",
		"actionsSecrets":    "{bad-name: {secure: canary-actions}}",
		"gateway":           "{config: {channels: {telegram: {token: canary-token, tokenEnv: '123:canary-env'}, slack: {botTokn: canary-bot}}, providers: {openai: {apiKey: canary-api, extraHeaders: {X-Api-Key: canary-header}}}}}",
	}).load(t, "dev")
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v, want problems without a canary", err)
	}
	if got, want := strings.Count(err.Error(), "\n"), 14; got != want {
		t.Errorf("got %d problems, want %d: %v", got, want, err)
	}
}
