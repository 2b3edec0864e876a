package toolchain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServes(t *testing.T) {
	const pinned = "v3.259.0"
	tests := []struct {
		version string
		want    bool
	}{
		{"v3.259.0", true},
		{"3.259.0", true},
		{"v3.259.1", true},
		{"v3.1000.0", true},
		{"v3.258.9", false},
		{"v3.26.0", false},
		{"v3.259.0-alpha.1", false}, // before the release
		{"v3.260.0-alpha.1", true},
		{"v4.0.0", false},
		{"v2.300.0", false},
		{"", false},
		{"a text about updates", false},
	}
	for _, test := range tests {
		t.Run(test.version, func(t *testing.T) {
			if got := serves(test.version, pinned); got != test.want {
				t.Errorf("serves(%q, %q) is %v, want %v", test.version, pinned, got, test.want)
			}
		})
	}
}

func TestInstalledPulumi(t *testing.T) {
	tests := []struct {
		name, script string
		used         bool
		told         string
	}{
		{"new enough", "echo v3.260.0", true, ""},
		{"too old", "echo v3.1.0", false, "which is v3.1.0"},
		{"broken", "exit 3", false, "does not tell its version"},
		{"asks its makers first", `[ "$PULUMI_SKIP_UPDATE_CHECK" = true ] && echo v3.260.0`, true, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pulumi")
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+test.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", filepath.Dir(path)+":"+os.Getenv("PATH"))
			var told said
			got := installedPulumi(t.Context(), "v3.259.0", told.progress)
			if (got == path) != test.used {
				t.Errorf("got %q, used should be %v", got, test.used)
			}
			if text := strings.Join(told, "\n"); !strings.Contains(text, test.told) || (test.told == "") != (text == "") {
				t.Errorf("the user was told %q, want %q", text, test.told)
			}
		})
	}
}
