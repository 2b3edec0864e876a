package gatewayimage

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/clawft/infra/lab/engine"
)

const root = "../.."

var both = []string{"linux/amd64", "linux/arm64"}

// builder is shared: starting one costs more than most tests.
var builder struct {
	sync.Once
	*Builder
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if builder.Builder != nil {
		if err := builder.Close(); err != nil {
			println("ending BuildKit:", err.Error())
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func theBuilder(t *testing.T) *Builder {
	t.Helper()
	builder.Do(func() {
		if builder.err = engine.Packages(t.Context(), t.Logf, Packages()...); builder.err != nil {
			return
		}
		dir, err := filepath.Abs(filepath.Join(root, ".lab", "cache", "image"))
		if err != nil {
			t.Fatal(err)
		}
		builder.Builder, builder.err = Start(t.Context(), root, dir, t.Logf)
	})
	if builder.err != nil {
		t.Fatal(builder.err)
	}
	return builder.Builder
}

// fixture builds the fixture with the repository's Dockerfile.
func fixture(platforms ...string) Build {
	return Build{
		Dockerfile: filepath.Join(root, "Dockerfile"),
		Context:    filepath.Join(root, "lab", "fixture"),
		Platforms:  platforms,
		Args: map[string]string{
			"VERSION": "0.6.19", "REVISION": "0123456789abcdef0123456789abcdef01234567", "CREATED": "2026-01-31T23:59:59Z",
		},
	}
}

// source is a copy of the fixture that a test may change.
func source(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "lab", "fixture"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func edit(t *testing.T, path, from, to string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s does not hold %q", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSteps(t *testing.T) {
	steps := Steps("#5 [linux/amd64 build 2/4] RUN cook\n#5 CACHED\n\n#6 [linux/amd64 build 4/4] RUN build\n#6 1.2 Compiling\n#6 DONE 3.0s\n")
	if cached, ok := steps["linux/amd64 build 2/4] RUN cook"]; !ok || !cached {
		t.Errorf("the cook step: %v %v, want a cached one", ok, cached)
	}
	if cached, ok := steps["linux/amd64 build 4/4] RUN build"]; !ok || cached {
		t.Errorf("the build step: %v %v, want one that ran", ok, cached)
	}
}
