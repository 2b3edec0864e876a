package workflows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawft/infra/components/workflows"
)

// inputs are those of a repository like the real one.
func inputs() workflows.Inputs {
	return workflows.Inputs{
		DefaultBranch: "main",
		Image:         "ghcr.io/clawft/clawft",
		Toolchain:     "1.93",
		Limits:        workflows.Limits{BinaryMiB: 10, WasmKiB: 300, WasmGzipKiB: 120, ImageMiB: 50},
		HealthTimeout: 30,
		Dockerfile:    "FROM scratch\n",
		Infra:         workflows.Infra{Repository: "clawft/infra", Ref: strings.Repeat("c", 40), Version: "v1.2.0"},
		Stack:         "prod",
	}
}

// everyWorkflow is the text of this repository's workflows ("own/ci.yml") and of
// the rendered ones ("gateway/pr-gates.yml").
func everyWorkflow(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	own, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range own {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts["own/"+filepath.Base(path)] = string(text)
	}
	files, err := workflows.Render(inputs())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Ext(file.Path) == ".yml" {
			texts["gateway/"+filepath.Base(file.Path)] = file.Content
		}
	}
	if len(texts) != 6 {
		t.Fatalf("%d workflows, want 4 own and 2 rendered", len(texts))
	}
	return texts
}
