package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// What decides about the program is exactly what the compiler reads of this module.
func TestFilesAreThoseOfTheProgram(t *testing.T) {
	want, carried := map[string]bool{"go.mod": true, "go.sum": true}, map[string]bool{}
	for _, architecture := range Architectures {
		list := exec.Command("go", "list", "-deps", "-json=Dir,Module,GoFiles,SFiles,HFiles,SysoFiles,EmbedFiles", "./"+program)
		list.Dir = root
		list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+architecture, "CGO_ENABLED=0", "GOWORK=off")
		var complaints bytes.Buffer
		list.Stderr = &complaints
		out, err := list.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, complaints.String())
		}
		for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
			var listed struct {
				Dir                                            string
				Module                                         *struct{ Path, Dir string }
				GoFiles, SFiles, HFiles, SysoFiles, EmbedFiles []string
			}
			if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if listed.Module == nil || listed.Module.Path != module {
				continue
			}
			for _, name := range slices.Concat(listed.GoFiles, listed.SFiles, listed.HFiles, listed.SysoFiles, listed.EmbedFiles) {
				path, err := filepath.Rel(listed.Module.Dir, filepath.Join(listed.Dir, name))
				if err != nil {
					t.Fatal(err)
				}
				want[filepath.ToSlash(path)] = true
				if slices.Contains(listed.EmbedFiles, name) {
					carried[filepath.ToSlash(path)] = true
				}
			}
		}
	}
	got, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range got {
		if !want[name] {
			t.Errorf("%s counts, and is no part of the program", name)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s does not count, and is a part of the program", name)
	}
	embedded, err := Embedded(root)
	if err != nil || !slices.Equal(embedded, slices.Sorted(maps.Keys(carried))) {
		t.Errorf("embedded are %q (%v), want %v", embedded, err, carried)
	}
}

// checkout is a module of the program's shape.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":                      "module github.com/clawft/infra\n\ngo 1.26.0\n",
		"go.sum":                      "",
		"main.go":                     "package main\n",
		"host/main.go":                "package main\n\nimport _ \"github.com/clawft/infra/host/unit\"\n\nfunc main() {}\n",
		"host/main_test.go":           "package main\n\nimport _ \"github.com/clawft/infra/other\"\n",
		"host/unit/unit.go":           "package unit\n\nimport _ \"embed\"\n\n//go:embed a.service\nvar A string\n",
		"host/unit/unit_arm64.go":     "package unit\n",
		"host/unit/unit_windows.go":   "package unit\n",
		"host/unit/a.service":         "[Unit]\n",
		"host/unit/README.md":         "\n",
		"other/other.go":              "package other\n",
		".lab/project/Pulumi.yaml":    "",
		".lab/elsewhere/host/main.go": "package main\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSource(t *testing.T) {
	dir := checkout(t)
	before, err := Source(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file, content string
		changes             bool
	}{
		{"nothing", "", "", false},
		{"Windows' line ends", "host/main.go", "package main\r\n\r\nimport _ \"github.com/clawft/infra/host/unit\"\r\n\r\nfunc main() {}\r\n", false},
		{"a package of the program", "host/unit/unit.go", "package unit\n", true},
		{"for one architecture", "host/unit/unit_arm64.go", "package unit\n\nvar B = 1\n", true},
		{"for another system", "host/unit/unit_windows.go", "package unit\n\nvar B = 1\n", false},
		{"what is embedded", "host/unit/a.service", "[Service]\n", true},
		{"what lies beside", "host/unit/README.md", "changed\n", false},
		{"a new file", "host/unit/new.go", "package unit\n", true},
		{"a test", "host/main_test.go", "package main\n", false},
		{"a package that only a test needs", "other/other.go", "package other\n\nvar B = 1\n", false},
		{"the pipeline", "main.go", "package main\n\nfunc main() {}\n", false},
		{"what is required", "go.mod", "module github.com/clawft/infra\n\ngo 1.26.1\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := checkout(t)
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("GOFLAGS", "-tags=other")
			t.Setenv("GOOS", "windows")
			after, err := Source(dir)
			if err != nil {
				t.Fatal(err)
			}
			if (after != before) != c.changes {
				t.Errorf("the source changes: %t, want %t", after != before, c.changes)
			}
		})
	}
	if len(before) != 16 || strings.Trim(before, "0123456789abcdef") != "" {
		t.Errorf("it is %q", before)
	}
}

func TestRoot(t *testing.T) {
	dir := checkout(t)
	for _, below := range []string{"", ".lab/project", "host/unit"} {
		if got, err := Root(filepath.Join(dir, below)); err != nil || got != dir {
			t.Errorf("from %q: got %s, %v", below, got, err)
		}
	}
	if got, err := Root(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not in one") {
		t.Errorf("got %s, %v", got, err)
	}
}
