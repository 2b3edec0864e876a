package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakes replaces the programs on PATH by shell scripts, and returns the
// directory that they run with as $DIR.
func fakes(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		text := "#!/bin/sh\nPATH=/usr/bin:/bin\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("DIR", dir)
	t.Setenv("DOCKER_HOST", "")
	return dir
}

// said collects what the user is told.
type said []string

func (s *said) progress(format string, args ...any) { *s = append(*s, fmt.Sprintf(format, args...)) }

func (s said) String() string { return strings.Join(s, "\n") }

func mustContain(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", what, want, text)
		}
	}
}
