package components

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

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
