package cloudinit

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The bootstrap overwrites nothing that lacks the mark, its own files of yesterday included; and what
// compares a host with this repository takes every file that has it.
func TestWhatIsInstalledIsMarked(t *testing.T) {
	mark := firstMatch(t, ownerScript, `readonly MARK='([^']+)'`)
	paths, err := filepath.Glob("host/*")
	if err != nil {
		t.Fatal(err)
	}
	var marked, installed []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		if strings.HasPrefix(string(content), "#!") {
			name = strings.TrimSuffix(name, ".sh")
		}
		if lines := strings.SplitN(string(content), "\n", 4); strings.Contains(strings.Join(lines[:3], "\n"), mark) {
			marked = append(marked, name)
		}
	}
	for _, f := range hostFiles() {
		installed = append(installed, f.name)
	}
	slices.Sort(marked)
	slices.Sort(installed)
	if !slices.Equal(marked, installed) {
		t.Errorf("marked are     %q\ninstalled are %q", marked, installed)
	}
}

func firstMatch(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("nothing matches %s", pattern)
	}
	return match[1]
}
