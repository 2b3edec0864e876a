package dockerbuild

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"

	"github.com/clawft/infra/lab/buildkit/buildx"
)

// recorder stands for buildx: it writes down all that it is given.
const recorder = `#!/bin/sh
printf '%s\n' "$@" > "$RECORD/arguments"
env > "$RECORD/environment"
cat > "$RECORD/input"
cp "$DOCKER_CONFIG/config.json" "$RECORD/config"
stat --format '%a' "$DOCKER_CONFIG" "$DOCKER_CONFIG/config.json" > "$RECORD/modes"
echo "$DOCKER_CONFIG" > "$RECORD/directory"
`

// TestWhatBuildxIsGiven looks for secrets where others could read them.
func TestWhatBuildxIsGiven(t *testing.T) {
	record := t.TempDir()
	t.Setenv("RECORD", record)
	program := filepath.Join(t.TempDir(), "buildx")
	if err := os.WriteFile(program, []byte(recorder), 0o755); err != nil {
		t.Fatal(err)
	}
	client, err := buildx.New(buildx.Options{Program: program, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "source/Dockerfile", "FROM scratch\n", 0o644)
	standIn := New(Options{Client: client, Dir: dir})

	_, err = standIn.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: properties(map[string]any{
		"context":    map[string]any{"location": "source", "named": map[string]any{"base": map[string]any{"location": "docker-image://debian"}}},
		"dockerfile": map[string]any{"location": "source/Dockerfile"},
		"builder":    map[string]any{"name": "lab"},
		"addHosts":   []any{"registry:10.0.0.1"},
		"buildArgs":  map[string]any{"TOKEN": "secret-argument"},
		"secrets":    map[string]any{"key": "secret-key"},
		"registries": []any{map[string]any{"address": "https://ghcr.io/v2", "username": "clawft", "password": "secret-password"}},
		"network":    "host",
		"platforms":  []any{"linux/amd64"},
		"ssh":        []any{map[string]any{"id": "default", "paths": []any{"/run/agent"}}},
		"target":     "runtime",
		"noCache":    true,
		"push":       true,
		"tags":       []any{"ghcr.io/clawft/clawft:1"},
	})})
	if err != nil {
		t.Fatal(err)
	}

	read := func(name string) string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(record, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if arguments := read("arguments"); strings.Contains(arguments, "secret-") {
		t.Errorf("everybody on the machine can read the command line:\n%s", arguments)
	}
	if environment := read("environment"); strings.Contains(environment, "secret-argument") || strings.Contains(environment, "secret-password") {
		t.Error("the environment holds what is passed otherwise")
	}
	if modes := read("modes"); modes != "700\n600\n" {
		t.Errorf("the logins' directory and file have the modes %q", modes)
	}
	if got, want := read("config"), `{"auths":{"ghcr.io":{"auth":"Y2xhd2Z0OnNlY3JldC1wYXNzd29yZA=="}}}`; got != want {
		t.Errorf("logins are %s, want %s", got, want)
	}
	if directory := strings.TrimSpace(read("directory")); directory != "" {
		if _, err := os.Stat(directory); !os.IsNotExist(err) {
			t.Errorf("the logins are still in %s", directory)
		}
	}

	var definition struct{ Target map[string]map[string]any }
	if err := json.Unmarshal([]byte(read("input")), &definition); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(definition.Target[targetName], "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`{
	"args": {
		"TOKEN": "secret-argument"
	},
	"attest": [
		"type=provenance,disabled=true"
	],
	"context": "source",
	"contexts": {
		"base": "docker-image://debian"
	},
	"dockerfile": "DIR/source/Dockerfile",
	"extra-hosts": {
		"registry": "10.0.0.1"
	},
	"network": "host",
	"no-cache": true,
	"output": [
		"type=image,push=true"
	],
	"platforms": [
		"linux/amd64"
	],
	"pull": false,
	"secret": [
		"type=env,env=CLAWFT_BUILD_SECRET_0,id=key"
	],
	"ssh": [
		"default=/run/agent"
	],
	"tags": [
		"ghcr.io/clawft/clawft:1"
	],
	"target": "runtime"
}`, "DIR", dir)
	if string(got) != want {
		t.Errorf("the definition is\n%s\nwant\n%s", got, want)
	}
}
