package pipeline

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestProblemsAreOrderedByPath(t *testing.T) {
	r := newReport("dev")
	for _, path := range []string{"clawft:hosts[10].name", "clawft:version", "clawft:hosts[2].name", "clawft:hosts[2]", "clawft:gateway.port"} {
		r.wrong(path, nothing, "something")
	}
	var wrong *ConfigError
	if !errors.As(r.err(), &wrong) {
		t.Fatalf("got %v, want a ConfigError", r.err())
	}
	var got []string
	for _, problem := range wrong.Problems {
		got = append(got, problem.Path)
	}
	want := []string{"clawft:gateway.port", "clawft:hosts[2]", "clawft:hosts[2].name", "clawft:hosts[10].name", "clawft:version"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNothingIsReportedTwiceOrBelowWhatCannotBeRead(t *testing.T) {
	r := newReport("dev")
	r.wrong("clawft:version", nothing, "a version")
	r.wrong("clawft:version", nothing, "a version")
	r.wrong("clawft:image", "a string", "an object")
	r.unreadable["clawft:image"] = true
	r.wrong("clawft:image.repository", nothing, "a repository")
	if got := len(r.problems); got != 2 {
		t.Errorf("got %v, want 2 problems", r.problems)
	}
	if err := newReport("dev").err(); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestQuote(t *testing.T) {
	for given, want := range map[string]string{
		"x\ny":                                "\"x\\ny\"",
		"-----BEGIN PRIVATE KEY-----\ncanary": "a private key",
		strings.Repeat("ä", 81):               `"` + strings.Repeat("ä", 80) + `"…`,
	} {
		if got := quote(given); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
