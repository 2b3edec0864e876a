package toolchain

import (
	"os"
	"strings"
	"testing"
)

// The repository's own tools: each must have a module that pins it.
func TestPins(t *testing.T) {
	const root = "../.."
	packages := map[Tool]string{
		Pulumi:       "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
		Buildkitd:    "github.com/moby/buildkit/cmd/buildkitd",
		Buildx:       "github.com/docker/buildx/cmd/buildx",
		Actionlint:   "github.com/rhysd/actionlint/cmd/actionlint",
		GolangciLint: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint",
		Act:          "github.com/nektos/act",
	}
	for tool, want := range packages {
		t.Run(tool.Name, func(t *testing.T) {
			p, err := tool.pin(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			if p.Package != want || !strings.HasPrefix(p.Version, "v") {
				t.Errorf("pinned is %+v, want a version of %s", p, want)
			}
		})
	}
}

// The program speaks the SDK's protocol to the engine, so they go together.
func TestEngineIsTheSDKs(t *testing.T) {
	const root = "../.."
	p, err := Pulumi.pin(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/pulumi/pulumi/sdk/v3 " + p.Version + "\n"; !strings.Contains(string(mod), want) {
		t.Errorf("tools/pulumi pins %s, but go.mod does not have %q", p.Version, want)
	}
}
