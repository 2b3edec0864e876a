package workflows

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// inputs are those of a repository like the real one.
func inputs() Inputs {
	return Inputs{
		DefaultBranch: "master",
		Image:         "ghcr.io/clawft/clawft",
		Toolchain:     "1.93",
		Limits:        Limits{BinaryMiB: 10, WasmKiB: 300, WasmGzipKiB: 120, ImageMiB: 50},
		HealthTimeout: 30,
		Dockerfile:    "FROM scratch\n",
		DockerIgnore:  "target/\n",
		Infra: Infra{
			Repository: "clawft/infra",
			Ref:        "0123456789abcdef0123456789abcdef01234567",
			Version:    "v1.2.0",
		},
		Stack: "prod",
	}
}

// Run with -update to accept what is rendered now.
func TestRenderedWorkflowsAreThoseThatWereReviewed(t *testing.T) {
	files, err := Render(inputs())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Ext(file.Path) != ".yml" {
			continue
		}
		golden := filepath.Join("testdata", filepath.Base(file.Path))
		if *update {
			if err := os.WriteFile(golden, []byte(file.Content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if file.Content != string(want) {
			t.Errorf("%s differs from %s; look at the difference, then run go test ./components/workflows -update", file.Path, golden)
		}
	}
}

func TestEveryFileHasItsPlace(t *testing.T) {
	files, err := Render(inputs())
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	names := map[string]bool{}
	for _, file := range files {
		paths = append(paths, file.Path)
		if names[file.Name] {
			t.Errorf("two files are named %s", file.Name)
		}
		names[file.Name] = true
		if file.Content == "" {
			t.Errorf("%s is empty", file.Path)
		}
		if strings.Contains(file.Content, "<< .") {
			t.Errorf("%s has a placeholder left", file.Path)
		}
	}
	want := []string{
		".github/gates/size.sh",
		".github/gates/image-size.sh",
		".github/gates/smoke.sh",
		".github/gates/Dockerfile",
		".github/gates/Dockerfile.dockerignore",
		".github/workflows/pr-gates.yml",
		".github/workflows/release.yml",
	}
	if got := strings.Join(paths, " "); got != strings.Join(want, " ") {
		t.Errorf("files in order:\n got %s\nwant %s", got, strings.Join(want, " "))
	}
	// A workflow that runs a script which is not there fails every pull request.
	for _, script := range regexp.MustCompile(`\.github/gates/[A-Za-z.-]+`).FindAllString(files[len(files)-2].Content, -1) {
		if !strings.Contains(strings.Join(paths, " "), script) {
			t.Errorf("pr-gates.yml uses %s, which is not written", script)
		}
	}
}

func TestRenamedGateHasNoJob(t *testing.T) {
	saved := Gates
	defer func() { Gates = saved }()

	t.Run("renamed", func(t *testing.T) {
		Gates = []Gate{"lint", Test, WasmSize, BinarySize, DockerSmoke}
		_, err := Render(inputs())
		if err == nil || !strings.Contains(err.Error(), `job "clippy" is no gate`) {
			t.Errorf("rendering with a gate that the template does not know: %v", err)
		}
	})
	t.Run("added", func(t *testing.T) {
		Gates = append(saved[:len(saved):len(saved)], "audit")
		_, err := Render(inputs())
		if err == nil || !strings.Contains(err.Error(), `no job for the gates ["audit"]`) {
			t.Errorf("rendering with a gate that has no job: %v", err)
		}
	})
}

func TestWrongInputsAreAllNamed(t *testing.T) {
	in := inputs()
	in.DefaultBranch = `main", "x`
	in.Image = "GHCR.io/clawft"
	in.Toolchain = "stable"
	in.Limits.WasmKiB = 0
	in.HealthTimeout = -1
	in.Dockerfile = "\n"
	in.Infra.Ref = "main"
	in.Stack = "prod\nrun: evil"
	_, err := Render(in)
	if err == nil {
		t.Fatal("wrong inputs were rendered")
	}
	for _, want := range []string{
		`DefaultBranch is "main\", \"x"; give a branch, such as "main"`,
		`Image is "GHCR.io/clawft"; give an image without a tag in lower case`,
		`Toolchain is "stable"; give a Rust version, such as "1.93"`,
		"Limits.WasmKiB is 0; give at least 1",
		"HealthTimeout is -1; give at least 1",
		"Dockerfile is empty",
		`Infra.Ref is "main"; give a commit, 40 hexadecimal digits`,
		`Stack is "prod\nrun: evil"; give a stack, such as "prod"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}
