package pipeline

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/clawft/infra/internal/agent"
	"github.com/clawft/infra/internal/recorder"
)

// inputsOn are all inputs that a stack registers in an environment, by resource,
// with its secrets, and the options that decide what an update does.
func inputsOn(t *testing.T, stack string, environment map[string]string, change func(*recorder.Recorder)) map[string]resource.PropertyMap {
	t.Helper()
	r := recordedStack(t, stack)
	change(r)
	for name, value := range environment {
		t.Setenv(name, value)
	}
	if err := r.Run(Deploy); err != nil {
		t.Fatal(err)
	}
	inputs := map[string]resource.PropertyMap{}
	for _, registered := range r.Resources() {
		all := registered.Inputs.Copy()
		for _, ignored := range registered.Request.GetIgnoreChanges() {
			delete(all, resource.PropertyKey(ignored))
		}
		inputs[registered.Type+" "+registered.Name] = all
	}
	return inputs
}

// A stack is continued by any machine, with the same plan: nothing that is
// registered depends on who runs the program, and where.
func TestInputsAreTheSameEverywhere(t *testing.T) {
	caches := map[string]any{"default": nil, "gha": map[string]any{"type": "gha"}, "local": map[string]any{"type": "local", "path": "/var/cache/build"}}
	for _, stack := range []string{"dev", "prod", "lab"} {
		for name, cache := range caches {
			t.Run(stack+" with cache "+name, func(t *testing.T) {
				same := recordedStack(t, stack)
				change := func(r *recorder.Recorder) {
					// What is in the state and in the stack's file.
					r.Outputs, r.Config = same.Outputs, maps.Clone(same.Config)
					if cache != nil {
						setPath(t, r, "clawft:image", "cache", cache)
					}
					if stack == "dev" {
						setPath(t, r, "clawft:image", "builder", map[string]any{"name": "mine", "driver": "docker-container"})
					}
				}
				laptop := inputsOn(t, stack, nil, change)
				elsewhere := t.TempDir()
				checkout := filepath.Join(elsewhere, "checkout")
				if err := os.Mkdir(checkout, 0o700); err != nil {
					t.Fatal(err)
				}
				files, err := agent.Files(root)
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range append(files, "Dockerfile", "Dockerfile.dockerignore") {
					content, err := os.ReadFile(filepath.Join(root, name))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.MkdirAll(filepath.Dir(filepath.Join(checkout, name)), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(checkout, name), content, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				runner := map[string]string{
					"HOME": elsewhere, "USER": "runner", "LOGNAME": "runner", "HOSTNAME": "runner-1", "TMPDIR": elsewhere,
					"PULUMI_HOME": filepath.Join(elsewhere, ".pulumi"), "XDG_CONFIG_HOME": elsewhere,
					"TZ": "Asia/Tokyo", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8",
					"DOCKER_CONFIG": elsewhere, "DOCKER_HOST": "tcp://198.51.100.1:2375", "DOCKER_CONTEXT": "", "DOCKER_BUILDKIT": "1",
					"BUILDX_BUILDER": "another", "BUILDX_CONFIG": elsewhere, "BUILDKIT_HOST": "tcp://198.51.100.1:1234", "SOURCE_DATE_EPOCH": "1",
					"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "x/y", "GITHUB_SHA": strings.Repeat("9", 40),
					"GITHUB_WORKFLOW_REF": "x/y/.github/workflows/release.yml@refs/heads/main", "CALLED_WORKFLOW_REF": "z", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "2",
					"ACTIONS_RUNTIME_TOKEN": planted, "ACTIONS_CACHE_URL": "https://cache.example.org/", "ACTIONS_RESULTS_URL": "https://cache.example.org/", "ACTIONS_CACHE_SERVICE_V2": "true",
					"SSH_AUTH_SOCK": "/run/agent", "HTTPS_PROXY": "", "EDITOR": "vi",
				}
				runs := inputsOn(t, stack, runner, func(r *recorder.Recorder) {
					change(r)
					t.Chdir(checkout)
				})
				if len(runs) != len(laptop) {
					t.Errorf("registered are %d resources on one machine, and %d on another", len(laptop), len(runs))
				}
				for name, inputs := range laptop {
					if diff := inputs.Diff(runs[name]); diff != nil && diff.AnyChanges() {
						t.Errorf("%s depends on the machine: %v", name, diff.Keys())
					}
				}
			})
		}
	}
}

// The docker plugin wants a Docker daemon even in a preview, so only a stack that
// makes a builder has it.
func TestNoDockerDaemonIsNeeded(t *testing.T) {
	for _, stack := range []string{"dev", "prod", "lab"} {
		for name, image := range map[string]map[string]any{
			"as it is": {}, "a digest": {"source": "", "ref": "", "digest": digest}, "a builder that exists": {"builder": map[string]any{"name": "multi"}},
		} {
			t.Run(stack+" with "+name, func(t *testing.T) {
				r := recordedStack(t, stack)
				r.Preview = true
				for field, value := range image {
					setPath(t, r, "clawft:image", field, value)
				}
				if err := r.Run(Deploy); err != nil {
					t.Fatal(err)
				}
				for _, registered := range r.Resources() {
					if registered.Type == "pulumi:providers:docker" || strings.HasPrefix(registered.Type, "docker:") {
						t.Errorf("%s %s is registered", registered.Type, registered.Name)
					}
				}
			})
		}
	}
}
