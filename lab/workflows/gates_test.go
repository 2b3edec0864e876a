package workflows_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/components/workflows"
)

// TestGatesAreRedForTheirOwnFault runs pr-gates.yml on a workspace with the
// gateway's crates, as it is and with one fault at a time.
func TestGatesAreRedForTheirOwnFault(t *testing.T) {
	r := newRunner(t)
	image := fmt.Sprintf("clawft-workflows-test/%d", os.Getpid())
	t.Cleanup(func() { r.command(t, "/", "docker", "image", "rm", "--force", image+":smoke") })
	gateway := newGateway(t, r, image, inputs().Infra.Ref)

	for _, test := range []struct {
		name  string
		plant func(t *testing.T, repository string)
		red   workflows.Gate // the one job that fails
		says  string
	}{
		{"sound", func(*testing.T, string) {}, "", ""},
		{"a clippy warning", func(t *testing.T, repository string) {
			appendTo(t, repository, "crates/clawft-types/src/lib.rs", `
/// Planted.
pub fn planted(numbers: &Vec<u8>) -> usize {
    return numbers.len();
}
`)
		}, workflows.Clippy, "unneeded `return` statement"},
		{"a failing test", func(t *testing.T, repository string) {
			appendTo(t, repository, "crates/clawft-types/src/lib.rs", `
#[cfg(test)]
mod planted {
    #[test]
    fn fails() {
        assert_eq!(1 + 1, 3);
    }
}
`)
		}, workflows.Test, "planted::fails"},
		{"a WebAssembly module over the limit", func(t *testing.T, repository string) {
			write(t, filepath.Join(repository, "crates/clawft-wasm/module.wasm"), make([]byte, 300*1024+1))
		}, workflows.WasmSize, "1 bytes more than the limit of 300KiB"},
		{"a WebAssembly module that does not compress", func(t *testing.T, repository string) {
			write(t, filepath.Join(repository, "crates/clawft-wasm/module.wasm"), noise(200*1024))
		}, workflows.WasmSize, "more than the limit of 120KiB"},
		{"a binary over the limit", func(t *testing.T, repository string) {
			appendTo(t, repository, "crates/clawft-cli/src/main.rs", `
#[used]
static PLANTED: [u8; 11 << 20] = [1; 11 << 20];
`)
		}, workflows.BinarySize, "more than the limit of 10MiB"},
		{"an image that never becomes healthy", func(t *testing.T, repository string) {
			replaceIn(t, repository, "crates/clawft-cli/src/main.rs", `"status": "ok"`, `"status": "starting"`)
		}, workflows.DockerSmoke, "is not healthy after 8 s; /api/health last answered: {"},
		{"an image over the size budget", func(t *testing.T, repository string) {
			write(t, filepath.Join(repository, "assets/blob"), noise(12<<20))
		}, workflows.DockerSmoke, "more than the limit of 12MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			repository := gateway.copy(t)
			test.plant(t, repository)
			r.commit(t, repository, test.name)

			run := r.act(t, repository, "pull_request", "--workflows", workflows.PRGatesPath)
			want := map[string]string{}
			for _, gate := range workflows.Gates {
				want[string(gate)] = "success"
			}
			if test.red != "" {
				want[string(test.red)] = "failure"
			}
			if !maps.Equal(run.jobs, want) || run.failed != (test.red != "") {
				t.Fatalf("jobs ended as %v, want %v:\n%s", run.jobs, want, run.log)
			}
			if log := run.logs[string(test.red)]; !strings.Contains(log, test.says) {
				t.Errorf("the job %s does not say %q:\n%s", test.red, test.says, log)
			}
		})
	}
}

// gateway is a repository with the gateway's crates and the rendered workflows.
type gateway string

func newGateway(t *testing.T, r *runner, image, infraRef string) gateway {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gateway")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(r.root, "lab", "fixture"))); err != nil {
		t.Fatal(err)
	}
	// The one crate that only the workflows need.
	if err := os.CopyFS(filepath.Join(dir, "crates/clawft-wasm"), os.DirFS("testdata/wasm")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "crates/clawft-wasm/module.wasm"), bytes.Repeat([]byte("wasm"), 60*1024/4))
	replaceIn(t, dir, "Cargo.toml", `"crates/clawft-cli"]`, `"crates/clawft-cli", "crates/clawft-wasm"]`)
	replaceIn(t, dir, "Cargo.lock", "[[package]]\nname = \"errno\"", "[[package]]\nname = \"clawft-wasm\"\nversion = \"0.6.19\"\n\n[[package]]\nname = \"errno\"")
	write(t, filepath.Join(dir, "assets/README"), []byte("What comes with the gateway.\n"))
	write(t, filepath.Join(dir, ".gitignore"), []byte("target\n"))

	dockerfile, err := os.ReadFile("testdata/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	in := inputs()
	in.Image, in.Dockerfile, in.HealthTimeout, in.Limits.ImageMiB = image, string(dockerfile), 8, 12
	in.Infra.Ref = infraRef
	files, err := workflows.Render(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		write(t, filepath.Join(dir, file.Path), []byte(file.Content))
	}
	r.command(t, dir, "git", "init", "--quiet", "--initial-branch=main")
	r.commit(t, dir, "The gateway")
	return gateway(dir)
}

// copy is a repository to plant a fault in.
func (g gateway) copy(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gateway")
	if err := os.CopyFS(dir, os.DirFS(string(g))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// noise does not compress.
func noise(size int) []byte {
	random := rand.NewChaCha8([32]byte{})
	data := make([]byte, size)
	_, _ = random.Read(data) // never fails
	return data
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, repository, file, text string) {
	t.Helper()
	path := filepath.Join(repository, file)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, slices.Concat(content, []byte(text)))
}

func replaceIn(t *testing.T, repository, file, old, replacement string) {
	t.Helper()
	path := filepath.Join(repository, file)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte(old)) {
		t.Fatalf("%s has no %q any more; the fault cannot be planted there", file, old)
	}
	write(t, path, bytes.ReplaceAll(content, []byte(old), []byte(replacement)))
}
