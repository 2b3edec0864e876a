package pipeline

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

// root is the project's directory; tests change into others.
var root = func() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// unencrypted takes what stands behind `secure:` for the secret itself. The
// SDK's own decrypter for this does not look into objects.
type unencrypted struct{ config.Decrypter }

// stackFile is the text of a Pulumi.<stack>.yaml. A secret is written as
// {secure: plain text}.
type stackFile string

// recorded returns a recorder whose configuration is what the engine would make
// of the stack file and Pulumi.yaml.
func (f stackFile) recorded(t *testing.T, stack string) *recorder.Recorder {
	t.Helper()
	project := loadProject(t)
	sink := diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
	file, err := workspace.LoadProjectStackBytes(sink, project, []byte(f), "Pulumi."+stack+".yaml", encoding.YAML)
	if err != nil {
		t.Fatalf("loading the stack file: %v", err)
	}
	r := &recorder.Recorder{Stack: stack, Config: map[string]string{}}
	for key, value := range file.Config {
		r.Config[key.String()], err = value.Value(unencrypted{config.NopDecrypter})
		if err != nil {
			t.Fatalf("reading %s: %v", key, err)
		}
	}
	for _, key := range file.Config.SecureKeys() {
		r.SecretKeys = append(r.SecretKeys, key.String())
	}
	for name, declared := range project.Config {
		key := "clawft:" + name
		if _, given := r.Config[key]; !given {
			r.Config[key] = asConfigValue(t, declared.Default)
		}
	}
	return r
}

// load reads the configuration as a deployment would, in a directory that has a
// Dockerfile and a directory "src", and without a token in the environment.
func (f stackFile) load(t *testing.T, stack string) (*Config, error) {
	t.Helper()
	return f.loadIn(t, projectDirectory(t), stack)
}

func (f stackFile) loadIn(t *testing.T, dir, stack string) (*Config, error) {
	t.Helper()
	r := f.recorded(t, stack)
	t.Setenv("HCLOUD_TOKEN", "")
	t.Setenv("GITHUB_TOKEN", "")
	t.Chdir(dir)
	var loaded *Config
	var loadErr error
	err := r.Run(func(ctx *pulumi.Context) error {
		loaded, loadErr = Load(ctx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if registered := r.Resources(); len(registered) > 1 { // the stack itself
		t.Errorf("reading the configuration registered %v", registered)
	}
	return loaded, loadErr
}

func projectDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "src"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func loadProject(t *testing.T) *workspace.Project {
	t.Helper()
	project, err := workspace.LoadProject(filepath.Join(root, "Pulumi.yaml"))
	if err != nil {
		t.Fatalf("loading Pulumi.yaml: %v", err)
	}
	return project
}

// asConfigValue renders a default of Pulumi.yaml as the engine passes it on.
func asConfigValue(t *testing.T, value any) string {
	t.Helper()
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// plain returns the value of an input, which must be secret.
func plain(t *testing.T, input pulumi.StringInput) string {
	t.Helper()
	output := input.ToStringOutput()
	if !pulumi.IsSecret(output) {
		t.Error("the value is not secret")
	}
	resolved := make(chan string, 1)
	pulumi.Unsecret(output).(pulumi.StringOutput).ApplyT(func(value string) string {
		resolved <- value
		return value
	})
	return <-resolved
}
