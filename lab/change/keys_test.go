package change

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/stack"
)

// keys are the documented keys with what the documentation says of each, as
// config/stack.schema.json has them, which is made from the same types as
// docs/config.md. [] stands for an element of a list, NAME for a name.
func keys(t *testing.T, root string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config", "stack.schema.json"))
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(text, &schema))
	found := map[string]string{}
	var walk func(path, about string, of map[string]any)
	walk = func(path, about string, of map[string]any) {
		if own, ok := of["description"].(string); ok {
			about = own
		}
		properties, _ := of["properties"].(map[string]any)
		_, secret := properties["secure"]
		elements, isMap := of["additionalProperties"].(map[string]any)
		items, isList := of["items"].(map[string]any)
		switch {
		case properties != nil && !secret:
			for _, key := range slices.Sorted(maps.Keys(properties)) {
				walk(strings.TrimPrefix(path+"."+key, "."), "", properties[key].(map[string]any))
			}
		case isMap:
			walk(path+".NAME", about, elements)
		case isList:
			walk(path+"[]", about, items)
		default:
			found[path] = about
		}
	}
	walk("", "", schema["properties"].(map[string]any)["config"].(map[string]any))
	require.NotEmpty(t, found)
	return found
}

// alternative is another valid value of a key, and what else has to change so
// that the configuration is still one that can be deployed.
type alternative struct {
	value  string
	secret bool
	with   stack.Settings
}

func plain(text string) stack.Value  { return stack.Value{Text: text} }
func hidden(text string) stack.Value { return stack.Value{Text: text, Secret: true} }

// alternatives has one for each key, by its path in the documentation.
func alternatives(w *world) map[string]alternative {
	// What is built comes from a directory of the project instead of a digest.
	built := stack.Settings{"clawft:image.digest": plain(""), "clawft:image.source": plain("source"), "clawft:image.smokeTest": plain("false")}
	with := func(settings stack.Settings, more ...string) stack.Settings {
		all := maps.Clone(settings)
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = plain(more[i+1])
		}
		return all
	}
	fromGit := func(source string) stack.Settings {
		return stack.Settings{
			"clawft:image.digest": plain(""), "clawft:image.source": plain(source), "clawft:image.smokeTest": plain("false"),
			"clawft:sourceToken": hidden("token"),
		}
	}
	github := stack.Settings{
		"github:token":                   hidden("github_pat_of_the_test"),
		"clawft:github.owner":            plain("clawft"),
		"clawft:github.repository":       plain("clawft"),
		"clawft:github.bypassActor.id":   plain("5"),
		"clawft:github.bypassActor.type": plain("RepositoryRole"),
		"clawft:github.infra.repository": plain("clawft/infra"),
		"clawft:github.infra.ref":        plain("39462de41b1543ca81662c1b610103180cad1918"),
		"clawft:github.infra.version":    plain("v0.1.0"),
	}
	return map[string]alternative{
		"clawft:version":                              {value: "0.6.20"},
		"clawft:protect":                              {value: "false"},
		"clawft:secrets.NAME":                         {value: "another", secret: true},
		"clawft:actionsSecrets.NAME":                  {value: "x", secret: true, with: github},
		"clawft:registryPassword":                     {value: "x", secret: true, with: stack.Settings{"clawft:image.username": plain("bot")}},
		"clawft:registryPullToken":                    {value: "x", secret: true, with: stack.Settings{"clawft:image.pullUsername": plain("bot")}},
		"clawft:signingKey":                           {value: w.signingKey, secret: true, with: built},
		"clawft:sshPrivateKey":                        {value: w.otherLogin.private, secret: true},
		"clawft:ssh.allowedSources[]":                 {value: "203.0.113.0/24"},
		"clawft:ssh.authorizedKeys[]":                 {value: w.otherLogin.public},
		"clawft:rollout.waves[]":                      {value: "2"},
		"clawft:rollout.maxParallel":                  {value: "1"},
		"clawft:gateway.config":                       {value: "{}", with: stack.Settings{"clawft:gateway.config.tools.exec.timeout": plain("30")}},
		"clawft:gateway.drain":                        {value: "11"},
		"clawft:gateway.healthTimeout":                {value: "61"},
		"clawft:gateway.logLevel":                     {value: "debug"},
		"clawft:gateway.memoryMiB":                    {value: "600"},
		"clawft:gateway.pids":                         {value: "300"},
		"clawft:gateway.port":                         {value: "9090"},
		"clawft:gateway.watch":                        {value: "11"},
		"clawft:hosts[].name":                         {value: "gw-9"},
		"clawft:hosts[].was":                          {value: "gw-1", with: stack.Settings{"clawft:hosts[0].name": plain("gw-9")}},
		"clawft:hosts[].takeOver":                     {value: "0123456789abcdef/gw-7"},
		"clawft:hosts[].giveUp":                       {value: "true"},
		"clawft:hosts[].hcloud.type":                  {value: "cx33"},
		"clawft:hosts[].hcloud.location":              {value: "fsn1"},
		"clawft:hosts[].hcloud.image":                 {value: "ubuntu-24.04"},
		"clawft:hosts[].address":                      {value: "203.0.113.9"},
		"clawft:hosts[].port":                         {value: "2222"},
		"clawft:hosts[].user":                         {value: "admin"},
		"clawft:hosts[].hostKey":                      {value: w.otherHostKey},
		"clawft:image.repository":                     {value: w.repository + "-other"},
		"clawft:image.digest":                         {value: anotherDigest},
		"clawft:image.promoteFrom":                    {value: "organization/clawft/change", with: stack.Settings{"clawft:image.digest": plain("")}},
		"clawft:image.revision":                       {value: "1", with: built},
		"clawft:image.source":                         {value: "source", with: built},
		"clawft:image.ref":                            {value: "main", with: fromGit(w.gitSource)},
		"clawft:sourceToken":                          {value: "token", secret: true, with: with(fromGit(w.gitSource), "clawft:image.ref", "main")},
		"clawft:image.sourceUsername":                 {value: "deploy", with: with(fromGit(w.deploySource), "clawft:image.ref", "main")},
		"clawft:image.dockerfile":                     {value: "Other", with: built},
		"clawft:image.platforms[]":                    {value: "linux/amd64", with: built},
		"clawft:image.buildArgs.NAME":                 {value: "x", with: built},
		"clawft:image.contexts.NAME":                  {value: "docker-image://registry.example.org/x", with: built},
		"clawft:image.builder.name":                   {value: "other", with: built},
		"clawft:image.builder.driver":                 {value: "docker-container", with: with(built, "clawft:image.builder.name", "other")},
		"clawft:image.builder.endpoint":               {value: "tcp://127.0.0.1:1", with: with(built, "clawft:image.builder.name", "other", "clawft:image.builder.driver", "remote")},
		"clawft:image.cache.type":                     {value: "none", with: built},
		"clawft:image.cache.ref":                      {value: w.repository + ":cache", with: built},
		"clawft:image.cache.path":                     {value: "cache", with: with(built, "clawft:image.cache.type", "local")},
		"clawft:image.sizeLimitMiB":                   {value: "60", with: built},
		"clawft:image.smokeTest":                      {value: "false", with: built},
		"clawft:image.sign":                           {value: "false", with: built},
		"clawft:image.publish":                        {value: "true", with: built},
		"clawft:image.publicKeys[]":                   {value: w.publicKey},
		"clawft:image.username":                       {value: "bot", with: stack.Settings{"clawft:registryPassword": hidden("x")}},
		"clawft:image.pullUsername":                   {value: "bot", with: stack.Settings{"clawft:registryPullToken": hidden("x")}},
		"clawft:github.owner":                         {value: "clawft", with: github},
		"clawft:github.repository":                    {value: "clawft", with: github},
		"clawft:github.bypassActor.id":                {value: "4", with: github},
		"clawft:github.bypassActor.type":              {value: "RepositoryRole", with: github},
		"clawft:github.bypassActor.mode":              {value: "exempt", with: github},
		"clawft:github.defaultBranch":                 {value: "main", with: github},
		"clawft:github.enforcement":                   {value: "disabled", with: github},
		"clawft:github.environment.reviewers.teams[]": {value: "7", with: github},
		"clawft:github.environment.reviewers.users[]": {value: "7", with: github},
		"clawft:github.infra.ref":                     {value: strings.Repeat("1", 40), with: github},
		"clawft:github.infra.repository":              {value: "clawft/other", with: github},
		"clawft:github.infra.version":                 {value: "v0.2.0", with: github},
		"clawft:github.limits.binaryMiB":              {value: "11", with: github},
		"clawft:github.limits.wasmGzipKiB":            {value: "121", with: github},
		"clawft:github.limits.wasmKiB":                {value: "301", with: github},
		"clawft:github.linearHistory":                 {value: "false", with: github},
		"clawft:github.mergeQueue":                    {value: "true", with: github},
		"clawft:github.releasers[].id":                {value: "5", with: with(github, "clawft:github.releasers[0].type", "RepositoryRole")},
		"clawft:github.releasers[].type":              {value: "RepositoryRole", with: with(github, "clawft:github.releasers[0].id", "5")},
		"clawft:github.releasers[].mode":              {value: "always", with: with(github, "clawft:github.releasers[0].id", "5", "clawft:github.releasers[0].type", "RepositoryRole")},
		"clawft:github.requiredReviews":               {value: "2", with: github},
		"clawft:github.toolchain":                     {value: "1.94", with: github},
		"clawft:github.variables.NAME":                {value: "x", with: github},
	}
}

// path is a key as it is set: of which secret, of which host.
func (w *world) path(key string) string {
	host := "0"
	for _, field := range []string{"address", "port", "user", "hostKey", "takeOver"} {
		if strings.HasSuffix(key, "[]."+field) {
			host = "1" // the existing machine
		}
	}
	name := "NAME"
	if key == "clawft:secrets.NAME" {
		name = "ANTHROPIC_API_KEY"
	}
	return strings.NewReplacer("[]", "["+host+"]", "NAME", name).Replace(strings.Replace(key, "allowedSources[]", "allowedSources[0]", 1))
}
