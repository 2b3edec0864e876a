package image

import (
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// listing is every path of a context with its mode and content.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := ""
		if entry.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = fmt.Sprintf("%x", sha256.Sum256(content))
		}
		if name != "." {
			fmt.Fprintln(&lines, info.Mode(), name, sum)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines.String()
}

func mustBuild(t *testing.T, dir, version, fault string, platforms ...string) string {
	t.Helper()
	if err := BuildContext(t.Context(), root, dir, version, fault, platforms); err != nil {
		t.Fatal(err)
	}
	return listing(t, dir)
}

func TestBuildContextIsDeterministic(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	both := []string{"linux/amd64", "linux/arm64"}
	want := mustBuild(t, first, "1.2.3", "", both...)
	if got := mustBuild(t, second, "1.2.3", "", both...); got != want {
		t.Errorf("same arguments, other directory: got\n%s\nwant\n%s", got, want)
	}
	if got := mustBuild(t, second, "1.2.3", "never-healthy", "linux/amd64"); got == want {
		t.Error("a fault left the context unchanged")
	}
	if got := mustBuild(t, second, "1.2.3", "", both...); got != want {
		t.Errorf("after a build of other arguments in the same directory: got\n%s\nwant\n%s", got, want)
	}
}

func TestBuildContextMachines(t *testing.T) {
	dir := t.TempDir()
	mustBuild(t, dir, "1.2.3", "", "linux/amd64", "linux/arm64")
	for platform, want := range map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64} {
		for _, name := range []string{"weft", "weft-health"} {
			file, err := elf.Open(filepath.Join(dir, platform, name))
			if err != nil {
				t.Fatal(err)
			}
			if file.Machine != want {
				t.Errorf("%s of %s: machine %v, want %v", name, platform, file.Machine, want)
			}
			if file.Section(".interp") != nil {
				t.Errorf("%s of %s is linked dynamically: it cannot run in an empty image", name, platform)
			}
			file.Close()
		}
	}
}

func TestBuildContextRefuses(t *testing.T) {
	tests := map[string]struct {
		version, fault string
		platforms      []string
		want           string
	}{
		"no version":       {"", "", []string{"linux/amd64"}, `version ""`},
		"version in two":   {"1.0 -X main.fault=hang", "", []string{"linux/amd64"}, "neither may hold spaces"},
		"no platform":      {"1.0.0", "", nil, "no platform given"},
		"unknown platform": {"1.0.0", "", []string{"linux/riscv64"}, `platform "linux/riscv64": want linux/amd64 or linux/arm64`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := BuildContext(t.Context(), root, t.TempDir(), test.version, test.fault, test.platforms)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
