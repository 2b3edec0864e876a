package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPackages(t *testing.T) {
	const aptGet = `shift 2; echo "$@" >> "$DIR/calls"`
	const dpkgQuery = `[ "$3" = ca-certificates ] && printf installed`
	tests := []struct {
		name    string
		scripts map[string]string
		want    []string
		calls   []string
	}{
		{
			name:    "nothing is missing",
			scripts: map[string]string{"apt-get": aptGet, "dpkg-query": dpkgQuery, "shellcheck": "", "git": ""},
			want:    []string{"shellcheck", "git", "ca-certificates"},
		},
		{
			name:    "only what is missing is installed",
			scripts: map[string]string{"apt-get": aptGet, "dpkg-query": dpkgQuery, "git": ""},
			want:    []string{"shellcheck", "git", "ca-certificates", "bc"},
			calls: []string{
				"update --quiet",
				"install --quiet --yes --no-install-recommends --no-remove shellcheck bc",
			},
		},
		{
			name:    "a program of another package serves",
			scripts: map[string]string{"apt-get": aptGet, "dpkg-query": "exit 1", "dockerd": ""},
			want:    []string{"docker.io"},
		},
		{
			name:    "a source that fails does not matter if the package comes from another",
			scripts: map[string]string{"apt-get": aptGet + `; [ "$1" = install ]`, "dpkg-query": dpkgQuery},
			want:    []string{"shellcheck"},
			calls: []string{
				"update --quiet",
				"install --quiet --yes --no-install-recommends --no-remove shellcheck",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := fakes(t, test.scripts)
			var told said
			if err := Packages(t.Context(), told.progress, test.want...); err != nil {
				t.Fatal(err)
			}
			data, _ := os.ReadFile(filepath.Join(dir, "calls")) // absent without a call
			if got, want := strings.TrimSpace(string(data)), strings.Join(test.calls, "\n"); got != want {
				t.Errorf("apt-get was called with\n%s\nwant\n%s", got, want)
			}
			if (len(told) > 0) != (len(test.calls) > 0) {
				t.Errorf("the user was told %q", told)
			}
		})
	}
}

func TestPackagesFails(t *testing.T) {
	fakes(t, map[string]string{
		"dpkg-query": "exit 1",
		"apt-get":    `shift 2; echo "E: $1 went wrong"; exit 100`,
	})
	err := Packages(t.Context(), new(said).progress, "shellcheck")
	if err == nil {
		t.Fatal("no error")
	}
	mustContain(t, "the error", err.Error(), "installing shellcheck", "exit status 100", "E: update went wrong", "E: install went wrong")
}

func TestMayInstall(t *testing.T) {
	missing := []string{"docker.io", "ca-certificates"}
	tests := []struct {
		name    string
		scripts map[string]string
		uid     int
		want    []string // nothing if it may
	}{
		{"root on Debian", map[string]string{"apt-get": ""}, 0, nil},
		{"another user on Debian", map[string]string{"apt-get": ""}, 1000,
			[]string{"lacks dockerd, ca-certificates", "sudo apt-get install --no-install-recommends docker.io ca-certificates"}},
		{"root on another system", nil, 0,
			[]string{"lacks dockerd, ca-certificates", "Debian packages docker.io ca-certificates"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fakes(t, test.scripts)
			err := mayInstall(missing, test.uid)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("the error is %v", err)
			}
			if err != nil {
				mustContain(t, "the error", err.Error(), test.want...)
			}
		})
	}
}
