package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	phases := func() []phase { return []phase{{name: "format"}, {name: "lint"}, {name: "unit"}} }
	tests := []struct {
		name  string
		given []string
		want  []string
		err   string
	}{
		{"all", nil, []string{"format", "lint", "unit"}, ""},
		{"some, in the phases' own order", []string{"unit", "format"}, []string{"format", "unit"}, ""},
		{"an unknown one", []string{"lint", "units"}, nil, `there is no phase "units"; the phases are format, lint, unit`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			chosen, err := choose(phases(), test.given)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("the error is %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range chosen {
				got = append(got, p.name)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestRunPhases(t *testing.T) {
	var ran []string
	c := &checks{}
	step := func(name string, err error) phase {
		return phase{name: name, run: func(context.Context) error {
			ran = append(ran, name)
			return err
		}}
	}
	broken := errors.New("it is broken")
	err := c.runPhases(t.Context(), []phase{step("vet", nil), step("unit", broken), step("e2e", nil)})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "phase unit failed") {
		t.Errorf("the error is %v, want one that names the phase and the cause", err)
	}
	if want := []string{"vet", "unit"}; !slices.Equal(ran, want) {
		t.Errorf("%v ran, want %v", ran, want)
	}
}

func TestFormat(t *testing.T) {
	tests := []struct {
		name, file, source string
		want               string // part of the error
	}{
		{"formatted", "a/ok.go", "package a\n", ""},
		{"not formatted", "a/wrong.go", "package  a\n", "gofmt -w a/wrong.go"},
		{"not Go at all", "a/broken.go", "package a\n\nfunc {\n", "a/broken.go: 3:6"},
		{"another kind of file", "a/text.txt", "package  a\n", ""},
		{"in a hidden directory", ".lab/cache/wrong.go", "package  a\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			path := filepath.Join(root, test.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(test.source), 0o644); err != nil {
				t.Fatal(err)
			}
			err := (&checks{root: root}).format(t.Context())
			if (err == nil) != (test.want == "") {
				t.Fatalf("the error is %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		line string
		want bool
	}{
		{"ok  \tgithub.com/clawft/infra/pipeline\t0.5s\n", true},
		{"FAIL\tgithub.com/clawft/infra/pipeline\t0.5s\n", true},
		{"--- FAIL: TestUp (0.00s)\n", true},
		{"panic: runtime error: index out of range\n", true},
		{"--- PASS: TestUp (0.00s)\n", false},
		{"?   \tgithub.com/clawft/infra\t[no test files]\n", false},
		{"    up_test.go:3: ok  \tis what it said\n", false},
	}
	for _, test := range tests {
		t.Run(strings.TrimSpace(test.line), func(t *testing.T) {
			if got := verdict(test.line); got != test.want {
				t.Errorf("verdict(%q) is %v", test.line, got)
			}
		})
	}
}
