package components

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/mod/modfile"

	"github.com/clawft/infra/internal/recorder"
)

const gateType = "command:local:Command"

// The gates are run by import path, so that the command is the same everywhere.
func TestGateProgramIsThisModules(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(gateProgram, "go run ")
	dir, inModule := strings.CutPrefix(path, modfile.ModulePath(content)+"/")
	if !inModule {
		t.Fatalf("%s is not in this module, %s", path, modfile.ModulePath(content))
	}
	if _, err := os.Stat(filepath.Join("..", dir, "main.go")); err != nil {
		t.Errorf("%s is no program: %v", path, err)
	}
}

// gatesOf registers gates, and a command that takes the digest from them.
func gatesOf(t *testing.T, r *recorder.Recorder, change func(*GatesArgs)) {
	t.Helper()
	r.Outputs[gateType] = func(resource.PropertyMap) resource.PropertyMap {
		return resource.PropertyMap{"stdout": resource.NewProperty("proven")}
	}
	mustRun(t, r, func(ctx *pulumi.Context) error {
		args := &GatesArgs{
			Repository:   "ghcr.io/clawft/clawft",
			Digest:       pulumi.String(builtDigest),
			Version:      "0.6.19",
			Platforms:    []string{"linux/amd64", "linux/arm64"},
			SizeLimitMiB: 50,
			Smoke:        &SmokeArgs{HealthTimeout: 60},
			Tags:         []string{"0.6.19", "0.6"},
		}
		change(args)
		gates, err := NewGates(ctx, "gateway", args)
		if err != nil {
			return err
		}
		_, err = NewPublication(ctx, "gateway", &PublicationArgs{
			Repository: args.Repository, Digest: gates.Digest, Tags: []string{"0.6.19"},
		})
		return err
	})
}

// Nothing of a gate's result is known before it has run, however much of its
// input is.
func TestGatesFollowEachOther(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		gatesOf(t, r, func(*GatesArgs) {})
		documents := map[string]string{
			"size":        `{"repository":"ghcr.io/clawft/clawft","digest":"` + builtDigest + `","platforms":["linux/amd64","linux/arm64"],"limitMiB":50}`,
			"smoke":       `{"repository":"ghcr.io/clawft/clawft","digest":"` + builtDigest + `","version":"0.6.19","healthTimeout":60}`,
			"unpublished": `{"repository":"ghcr.io/clawft/clawft","digest":"` + builtDigest + `","version":"0.6.19","tags":["0.6.19","0.6"]}`,
		}
		for name, document := range documents {
			gate := mustFind(t, r, gateType, "gateway-"+name)
			wantInputs(t, gate, map[string]string{
				"create":                 `"go run github.com/clawft/infra/gate ` + name + `"`,
				"delete":                 "null",
				"triggers":               "null",
				"addPreviousOutputInEnv": "false",
			})
			if r.Preview && name != "size" {
				wantInputs(t, gate, map[string]string{"stdin": `"unknown"`})
				continue
			}
			if got := text(t, gate, "stdin"); got != document {
				t.Errorf("gate %s reads %s, want %s", name, got, document)
			}
		}
		want := `["ghcr.io/clawft/clawft@` + builtDigest + `"]`
		if r.Preview {
			want = `["unknown"]`
		}
		wantInputs(t, mustFind(t, r, "docker-build:index:Index", "gateway-tag-0.6.19"), map[string]string{"sources": want})
	})
}

func TestGatesThatAreNotWanted(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*GatesArgs)
		want   []string
	}{
		{"no smoke test", func(a *GatesArgs) { a.Smoke = nil }, []string{"gateway-size", "gateway-unpublished"}},
		{"not published", func(a *GatesArgs) { a.Tags = nil }, []string{"gateway-size", "gateway-smoke"}},
		{"neither", func(a *GatesArgs) { a.Smoke, a.Tags = nil, nil }, []string{"gateway-size"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t)
			gatesOf(t, r, test.change)
			if got := r.Names(gateType); !slices.Equal(got, test.want) {
				t.Errorf("the gates are %v, want %v", got, test.want)
			}
		})
	}
}

func TestGatesKeepTheLoginSecret(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		gatesOf(t, r, func(args *GatesArgs) {
			args.Credentials = &RegistryCredentials{
				Server: "ghcr.io", Username: "bot", Password: pulumi.ToSecret(pulumi.String("canary")).(pulumi.StringOutput),
			}
		})
		for _, name := range []string{"gateway-size", "gateway-smoke", "gateway-unpublished"} {
			wantSecret(t, mustFind(t, r, gateType, name), "stdin")
		}
		wantNoPlainText(t, r, "canary")
		var document struct {
			Login struct{ Username, Password string }
		}
		if err := json.Unmarshal([]byte(text(t, mustFind(t, r, gateType, "gateway-size"), "stdin")), &document); err != nil {
			t.Fatal(err)
		}
		if got := document.Login; got.Username != "bot" || got.Password != "canary" {
			t.Errorf("the gate logs in as %+v", got)
		}
	})
}
