package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// checkout copies the fixture, so that builds leave nothing in the source.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "checkout")
}

// said collects what Ensure tells the user.
type said []string

func (s *said) progress(format string, args ...any) { *s = append(*s, fmt.Sprintf(format, args...)) }

var hello = Tool{Name: "hello", VersionVariable: "main.version", BuildTime: "a moment"}

func TestEnsureBuildsOnce(t *testing.T) {
	root := checkout(t)
	var first, second said
	binary, err := Ensure(t.Context(), root, hello, first.progress)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, ".lab/cache/bin/hello-v1.2.3"); binary != want {
		t.Errorf("the binary is %s, want %s", binary, want)
	}
	out, err := exec.Command(binary).CombinedOutput()
	if err != nil || string(out) != "hello v1.2.3" {
		t.Errorf("the binary says %q (%v), want its pinned version", out, err)
	}
	if text := strings.Join(first, "\n"); !strings.Contains(text, "about a moment") || !strings.Contains(text, "built hello v1.2.3") {
		t.Errorf("the user was told:\n%s", text)
	}
	if _, err := Ensure(t.Context(), root, hello, second.progress); err != nil {
		t.Fatal(err)
	}
	if len(second) > 0 {
		t.Errorf("a second call was not silent, it seems to have built again: %q", second)
	}
}

func TestEnsureTakesARelativeRoot(t *testing.T) {
	t.Chdir(checkout(t))
	binary, err := Ensure(t.Context(), ".", hello, new(said).progress)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil || !filepath.IsAbs(binary) {
		t.Errorf("the binary is %s (%v), want an absolute path that exists", binary, err)
	}
}

func TestEnsureRemovesInterruptedBuilds(t *testing.T) {
	root := checkout(t)
	leftover := filepath.Join(root, ".lab/cache/bin/hello-v1.2.3.build-123")
	if err := os.MkdirAll(leftover, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(leftover, "hello"), []byte("half a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(t.Context(), root, hello, new(said).progress); err != nil {
		t.Fatal(err)
	}
	entries, err := filepath.Glob(filepath.Join(root, ".lab/cache/bin/*.build-*"))
	if err != nil || len(entries) > 0 {
		t.Errorf("these builds are left: %v (%v)", entries, err)
	}
}

func TestEnsureLeavesNothingWhenInterrupted(t *testing.T) {
	root := checkout(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupt := fmt.Errorf("the user pressed Ctrl-C")
	// Ensure says "building" just before it starts the compiler.
	_, err := Ensure(ctx, root, hello, func(format string, _ ...any) {
		if strings.HasPrefix(format, "building") {
			cancel(interrupt)
		}
	})
	if err == nil || !strings.Contains(err.Error(), interrupt.Error()) {
		t.Errorf("the error is %v, want one that names the interruption", err)
	}
	left, err := os.ReadDir(filepath.Join(root, ".lab/cache/bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if filepath.Ext(entry.Name()) != ".lock" {
			t.Errorf("an interrupted build left %s", entry.Name())
		}
	}
}

func TestEnsureWaitsForAnotherBuild(t *testing.T) {
	root := checkout(t)
	binary := hello.binary(root, "v1.2.3")
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		t.Fatal(err)
	}
	other, err := lockBuild(t.Context(), binary, new(said).progress)
	if err != nil {
		t.Fatal(err)
	}
	// The other build ends as soon as Ensure says that it waits for it.
	var told said
	got, err := Ensure(t.Context(), root, hello, func(format string, args ...any) {
		told.progress(format, args...)
		if strings.HasPrefix(format, "waiting") {
			if err := os.WriteFile(binary, []byte("built by the other"), 0o755); err != nil {
				t.Error(err)
			}
			other.Release()
		}
	})
	if err != nil || got != binary {
		t.Errorf("got %s, %v", got, err)
	}
	if len(told) != 1 || !strings.Contains(told[0], "waiting for another process") {
		t.Errorf("the user was told %q, want only that it waits", []string(told))
	}
}

func TestEnsureErrors(t *testing.T) {
	tests := []struct {
		name string
		tool Tool
		want []string
	}{
		{"tool does not compile", Tool{Name: "broken"}, []string{"building broken v1.2.3", "undefined: undefinedFunction"}},
		{"tool without a requirement", Tool{Name: "pinless"}, []string{"tools/pinless/go.mod", "go get -tool example.com/greeting/cmd/hello@VERSION"}},
		{"tool without a module", Tool{Name: "absent"}, []string{"tools/absent/go.mod"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := checkout(t)
			_, err := Ensure(t.Context(), root, test.tool, new(said).progress)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestWatchReports(t *testing.T) {
	w := &watch{start: time.Now()}
	heard := make(chan string, 10)
	stop := w.report("hello", time.Millisecond, func(format string, args ...any) {
		select {
		case heard <- fmt.Sprintf(format, args...):
		default:
		}
	})
	defer stop()
	steps := []struct{ output, want string }{
		{"go: downloading example.com/a v1.0.0\ngo: downloading exam", "1 modules downloaded"},
		{"ple.com/b v1.0.0\n", "2 modules downloaded"},
		{"example.com/a\nexample.com/b/c\n", "2 packages compiled"},
		{"# example.com/b\nb.go:1:2: wrong", "2 packages compiled"},
	}
	for _, step := range steps {
		if _, err := w.Write([]byte(step.output)); err != nil {
			t.Fatal(err)
		}
		deadline := time.After(10 * time.Second)
		for last := ""; !strings.Contains(last, step.want); {
			select {
			case last = <-heard:
			case <-deadline:
				t.Fatalf("after %q the user hears %q, want %q", step.output, last, step.want)
			}
		}
	}
	if got, want := w.tail(), "# example.com/b\nb.go:1:2: wrong"; got != want {
		t.Errorf("the complaints are %q, want %q", got, want)
	}
}
