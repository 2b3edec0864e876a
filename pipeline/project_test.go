package pipeline

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Pulumi.yaml declares what the types of this package say: the same keys, with
// the same descriptions, types and defaults.
func TestProjectDeclaresTheSettings(t *testing.T) {
	project := loadProject(t)
	comments := parseComments(t)
	settingsType := reflect.TypeFor[settings]()
	for key, index := range configFields(settingsType) {
		field := settingsType.Field(index)
		declared, ok := project.Config[key]
		if !ok {
			t.Errorf("%s is not declared", key)
			continue
		}
		if got, want := declared.Description, comments.of("settings", field.Name); got != want {
			t.Errorf("%s: described as\n  %s\nwant\n  %s", key, got, want)
		}
		wantType, wantDefault := projectType(field)
		if declared.TypeName() != wantType {
			t.Errorf("%s: declared as %s, want %s", key, declared.TypeName(), wantType)
		}
		if !reflect.DeepEqual(declared.Default, wantDefault) {
			t.Errorf("%s: the default is %#v, want %#v", key, declared.Default, wantDefault)
		}
		if declared.Secret {
			t.Errorf("%s: declared secret, which makes it required", key)
		}
	}
	if got, want := len(project.Config), settingsType.NumField(); got != want {
		t.Errorf("%d keys are declared, want %d", got, want)
	}
}

// projectType returns the type in Pulumi.yaml and the default that means
// "not given".
func projectType(field reflect.StructField) (string, any) {
	switch field.Type.Kind() {
	case reflect.String:
		return "string", ""
	case reflect.Bool:
		return "boolean", field.Tag.Get("default") == "true"
	case reflect.Slice:
		return "array", []any{}
	}
	return "object", map[string]any{}
}

// What the language host builds to must be found by it on every system, from
// every directory, and must not become part of anybody's commit.
func TestProjectKeepsTheProgram(t *testing.T) {
	target, _ := loadProject(t).Runtime.Options()["buildTarget"].(string)
	if !filepath.IsLocal(target) || !strings.Contains(target, "/") || filepath.Ext(target) != ".exe" {
		t.Errorf("the build target is %q, want a path below the project with a slash and .exe", target)
	}
	ignored, err := os.ReadFile("../.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	if dir, _, _ := strings.Cut(target, "/"); !slices.Contains(strings.Fields(string(ignored)), "/"+dir+"/") {
		t.Errorf("git does not ignore /%s/, where the program is built to", dir)
	}
}

func TestProjectIsATemplate(t *testing.T) {
	project := loadProject(t)
	if project.Template == nil {
		t.Fatal("Pulumi.yaml has no template section")
	}
	for key, value := range project.Template.Config {
		if value.Description == "" {
			t.Errorf("%s is asked for without a description", key)
		}
		if strings.HasSuffix(key, "token") && !value.Secret {
			t.Errorf("%s is asked for in plain text", key)
		}
		name, _, namespaced := strings.Cut(key, ":")
		if _, declared := project.Config[name]; !declared && !namespaced {
			t.Errorf("%s is asked for but not declared", key)
		}
	}
	// The answers and the commands of the quick start make a stack that loads.
	_, err := with(map[string]string{
		"version":      project.Template.Config["version"].Default,
		"image":        "{repository: ghcr.io/owner/clawft, source: 'https://github.com/weave-logic-ai/clawft.git'}",
		"hosts":        "[{name: gw-1, hcloud: {type: cax11}}]",
		"secrets":      "{ANTHROPIC_API_KEY: {secure: x}}",
		"hcloud:token": "{secure: x}",
	}).load(t, "dev")
	if err != nil {
		t.Error(err)
	}
}

// What a stack's file must not hold, and what makes it load.
func TestStackFiles(t *testing.T) {
	public, private := keyPair(t, "")
	token := "  hcloud:token: {secure: x}\n"
	hub := "  github:token: {secure: x}\n"
	for _, c := range []struct {
		stack string
		// add is what the file's head says to set, as YAML.
		add string
		// replace is what the lab fills in.
		replace map[string]string
		hosts   int
		protect bool
		github  bool
	}{
		{stack: "dev", add: token, hosts: 1},
		{stack: "prod", add: token + hub + "  clawft:secrets: {ANTHROPIC_API_KEY: {secure: x}}\n", hosts: 2, protect: true, github: true},
		{stack: "lab", add: token + hub + "  clawft:sshPrivateKey: " + private + "\n", replace: map[string]string{
			"  clawft:image:\n":  "  clawft:image:\n    repository: 172.30.0.1:5000/clawft/clawft\n    source: cloud-init\n",
			"    - name: gw-2\n": "    - name: gw-2\n      hostKey: " + public + "\n",
		}, hosts: 2, github: true},
	} {
		t.Run(c.stack, func(t *testing.T) {
			text := readStackFile(t, c.stack)
			for old, filled := range c.replace {
				if !strings.Contains(text, old) {
					t.Fatalf("the file has no %q", old)
				}
				text = strings.Replace(text, old, filled, 1)
			}
			cfg, err := stackFile(text+c.add).loadIn(t, root, c.stack)
			if err != nil {
				t.Fatal(err)
			}
			if len(cfg.Hosts) != c.hosts || cfg.Protect != c.protect || (cfg.GitHub != nil) != c.github {
				t.Errorf("got %d hosts, protect %v, GitHub %v", len(cfg.Hosts), cfg.Protect, cfg.GitHub)
			}
		})
	}
}

// A stack that lacks its secrets says how to set them.
func TestStackFilesWithoutSecrets(t *testing.T) {
	const token = "hcloud:token: got nothing; want an API token with read and write access to the Hetzner project: pulumi config set --stack STACK --secret hcloud:token, or the environment variable HCLOUD_TOKEN"
	for stack, want := range map[string][]string{
		"dev": {token},
		"prod": {
			`clawft:gateway.config.agents.defaults.model: got "anthropic/claude-sonnet-4-20250514" without an API key; want the secret ANTHROPIC_API_KEY: pulumi config set --stack STACK --secret --path 'clawft:secrets.ANTHROPIC_API_KEY'`,
			"github:token: got nothing; want a token that may administer the gateway's repository: pulumi config set --stack STACK --secret github:token, or the environment variable GITHUB_TOKEN",
			token,
		},
	} {
		t.Run(stack, func(t *testing.T) {
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], "STACK", stack)
			}
			_, err := stackFile(readStackFile(t, stack)).loadIn(t, root, stack)
			checkProblems(t, err, want)
		})
	}
}

func TestStackFilesHoldNoSecrets(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "Pulumi.*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, unwanted := range []string{"secure:", "encryptionsalt", "encryptedkey", "secretsprovider"} {
			if strings.Contains(string(text), unwanted) {
				t.Errorf("%s holds %q, which only fits the one who wrote it", filepath.Base(file), unwanted)
			}
		}
	}
}

func readStackFile(t *testing.T, stack string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Pulumi."+stack+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
