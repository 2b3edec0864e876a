package toolchain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServes(t *testing.T) {
	const pinned = "v3.259.0"
	tests := []struct {
		version       string
		exact, serves bool
	}{
		{"v3.259.0", true, true},
		{"v3.259.1", false, true},
		{"v3.1000.0", false, true},
		{"v3.258.9", false, false},
		{"v3.26.0", false, false},
		{"v3.259.0-alpha.1", false, false}, // before the release
		{"v3.260.0-alpha.1", false, true},
		{"v4.0.0", false, false},
		{"v2.300.0", false, false},
	}
	for _, test := range tests {
		t.Run(test.version, func(t *testing.T) {
			if got := Pulumi.serves(test.version, pinned); got != test.serves {
				t.Errorf("a pulumi of that version serves: %v, want %v", got, test.serves)
			}
			if got := GolangciLint.serves(test.version, pinned); got != test.exact {
				t.Errorf("a linter of that version serves: %v, want %v", got, test.exact)
			}
		})
	}
}

// What the programs print, as released, as packaged by Debian, and as built here.
func TestAsk(t *testing.T) {
	tests := []struct {
		name, script, want string
		tool               Tool
	}{
		{"pulumi", `[ "$*" = version ] && echo v3.260.0`, "v3.260.0", Pulumi},
		{"pulumi, which asks its makers first", `[ "$PULUMI_SKIP_UPDATE_CHECK" = true ] && echo v3.260.0`, "v3.260.0", Pulumi},
		{"buildkitd", `[ "$*" = "--oci-worker=true --version" ] && echo "buildkitd github.com/moby/buildkit v0.26.2 1234567"`, "v0.26.2", Buildkitd},
		{"buildx", `[ "$*" = version ] && echo "github.com/docker/buildx v0.30.1 9e66234aa13328a5e75b75aa5574e1ca6d6d9c01"`, "v0.30.1", Buildx},
		{"buildx of Debian", `echo "github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3"`, "v0.13.1+ds1", Buildx},
		{"buildx of a commit with digits only", `echo "github.com/docker/buildx 1234567 v0.30.1"`, "v0.30.1", Buildx},
		{"golangci-lint", `[ "$*" = "version --short" ] && echo 2.15.0`, "v2.15.0", GolangciLint},
		{"act", `[ "$*" = --version ] && echo act version 0.2.89`, "v0.2.89", Act},
		{"actionlint", `[ "$*" = -version ] && printf '1.7.12\ninstalled by downloading from release page\nbuilt with go1.25.1\n'`, "v1.7.12", Actionlint},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "program")
			program(t, path, test.script)
			got, err := test.tool.ask(t.Context(), path)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestInstalled(t *testing.T) {
	tests := []struct {
		name, script string
		used         bool
		told         string
	}{
		{"new enough", "echo v0.31.0", true, "using the installed buildx v0.31.0"},
		{"too old", "echo v0.12.1", false, "which is v0.12.1: v0.30.1 or a newer one of the same major version is needed"},
		{"broken", "echo no such library >&2; exit 3", false, "does not tell its version: exit status 3: no such library"},
		{"without a version", "echo github.com/docker/buildx", false, `"github.com/docker/buildx" holds no version`},
	}
	places := []struct{ name, file string }{
		{"on PATH", "bin/buildx"},
		{"as a plugin", "docker/cli-plugins/docker-buildx"},
	}
	for _, place := range places {
		for _, test := range tests {
			t.Run(place.name+" "+test.name, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, place.file)
				program(t, path, test.script)
				t.Setenv("PATH", filepath.Join(dir, "bin")+":/usr/bin:/bin")
				t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "docker"))
				var told said
				got := Buildx.installed(t.Context(), "v0.30.1", told.progress)
				if (got == path) != test.used {
					t.Errorf("got %q, used should be %v", got, test.used)
				}
				if text := strings.Join(told, "\n"); !strings.Contains(text, path) || !strings.Contains(text, test.told) {
					t.Errorf("the user was told %q, want %q and the path", text, test.told)
				}
			})
		}
	}
}

// One that does not serve does not hide one that does.
func TestInstalledTwice(t *testing.T) {
	dir := t.TempDir()
	program(t, filepath.Join(dir, "bin/buildx"), "echo v0.12.1")
	plugin := filepath.Join(dir, "docker/cli-plugins/docker-buildx")
	program(t, plugin, "echo v0.30.1")
	t.Setenv("PATH", filepath.Join(dir, "bin")+":/usr/bin:/bin")
	t.Setenv("DOCKER_CONFIG", filepath.Join(dir, "docker"))
	if got := Buildx.installed(t.Context(), "v0.30.1", new(said).progress); got != plugin {
		t.Errorf("got %q, want the plugin", got)
	}
}

func TestEnsureUsesTheInstalled(t *testing.T) {
	root := checkout(t)
	path := filepath.Join(t.TempDir(), "hello")
	program(t, path, "echo v1.2.3")
	t.Setenv("PATH", filepath.Dir(path)+":"+os.Getenv("PATH"))
	got, err := Ensure(t.Context(), root, hello, new(said).progress)
	if err != nil || got != path {
		t.Errorf("got %q, %v, want the installed one", got, err)
	}
	if left, err := filepath.Glob(filepath.Join(root, ".lab/cache/bin/*")); err != nil || len(left) > 0 {
		t.Errorf("it was built or downloaded as well: %v, %v", left, err)
	}
}

// program writes a shell script as an executable file.
func program(t *testing.T, path, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}
