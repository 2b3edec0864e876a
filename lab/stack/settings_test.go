package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

const passphrase = "correct horse"

func newOptions(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	options := Options{Dir: dir, Name: "lab", StackFile: filepath.Join(dir, "Pulumi.lab.yaml")}
	if err := os.MkdirAll(ProjectDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	base := "config:\n  clawft:version: 0.6.19\n  clawft:hosts:\n    - name: gw-1\n    - name: gw-2\n      user: debian\n"
	if err := os.WriteFile(options.StackFile, []byte(base), 0o600); err != nil {
		t.Fatal(err)
	}
	return options
}

func (o Options) written(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(ProjectDir(o.Dir), "Pulumi.lab.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestSettingsGoOnTopOfTheStackFile(t *testing.T) {
	options := newOptions(t)
	values := Settings{
		"clawft:version":                              {Text: "0.6.20"},
		"clawft:hosts[1].address":                     {Text: "172.30.0.201"},
		`clawft:image.contexts["rust:1.93-bookworm"]`: {Text: "oci-layout:///bases/rust"},
		"clawft:secrets.XAI_API_KEY":                  {Text: "planted", Secret: true},
	}
	if err := options.writeSettings(t.Context(), passphrase, values); err != nil {
		t.Fatal(err)
	}
	text := options.written(t)
	if strings.Contains(text, "planted") {
		t.Errorf("a secret is in plain text:\n%s", text)
	}
	settings, err := loadSettings([]byte(text), "Pulumi.lab.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crypter, err := newCrypter(t.Context(), passphrase, &settings.EncryptionSalt)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"clawft:version": "0.6.20",
		"clawft:hosts":   `[{"name":"gw-1"},{"address":"172.30.0.201","name":"gw-2","user":"debian"}]`,
		"clawft:image":   `{"contexts":{"rust:1.93-bookworm":"oci-layout:///bases/rust"}}`,
		"clawft:secrets": `{"XAI_API_KEY":"planted"}`,
	} {
		value := settings.Config[config.MustParseKey(key)]
		if got, err := value.Value(crypter); err != nil || got != want {
			t.Errorf("%s: got %s (%v), want %s", key, got, err, want)
		}
	}
}

func TestSettingsAreWrittenOnlyWhenTheyChange(t *testing.T) {
	options := newOptions(t)
	values := Settings{"clawft:secrets.KEY": {Text: "one", Secret: true}}
	if err := options.writeSettings(t.Context(), passphrase, values); err != nil {
		t.Fatal(err)
	}
	first := options.written(t)
	if err := options.writeSettings(t.Context(), passphrase, values); err != nil {
		t.Fatal(err)
	}
	if again := options.written(t); again != first {
		t.Error("unchanged settings were encrypted anew")
	}
	values["clawft:secrets.KEY"] = Value{Text: "two", Secret: true}
	if err := options.writeSettings(t.Context(), passphrase, values); err != nil {
		t.Fatal(err)
	}
	changed := options.written(t)
	if changed == first {
		t.Error("a changed secret was not written")
	}
	// Another salt would make the state's secrets unreadable.
	if salt := saltOf(t, first); salt == "" || salt != saltOf(t, changed) {
		t.Error("the salt changed with the settings")
	}
}

func saltOf(t *testing.T, text string) string {
	t.Helper()
	settings, err := loadSettings([]byte(text), "Pulumi.lab.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return settings.EncryptionSalt
}

func TestSettingsWithoutNamespaceAreRefused(t *testing.T) {
	options := newOptions(t)
	err := options.writeSettings(t.Context(), passphrase, Settings{"version": {Text: "0.6.20"}})
	if err == nil || !strings.Contains(err.Error(), "clawft:version") {
		t.Errorf("got %v, want an error that names clawft:version", err)
	}
}
