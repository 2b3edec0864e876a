package github

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openHub(t *testing.T) *Hub {
	t.Helper()
	hub, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.CreateRepository("clawft", "clawft", "main"); err != nil {
		t.Fatal(err)
	}
	return hub
}

func TestRepositoryCanBeCloned(t *testing.T) {
	hub := openHub(t)
	clone := filepath.Join(t.TempDir(), "clone")
	if out, err := exec.Command("git", "clone", "--quiet", hub.GitDir("clawft", "clawft"), clone).CombinedOutput(); err != nil {
		t.Fatalf("cloning: %v\n%s", err, out)
	}
	readme, err := os.ReadFile(filepath.Join(clone, "README.md"))
	if err != nil || string(readme) != "# clawft\n" {
		t.Errorf("README.md: %q, %v", readme, err)
	}
}

func TestRepositoryIsCreatedOnce(t *testing.T) {
	hub := openHub(t)
	before, err := gitDir(hub.GitDir("clawft", "clawft")).tip("main")
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.CreateRepository("clawft", "clawft", "main"); err != nil {
		t.Fatal(err)
	}
	after, err := gitDir(hub.GitDir("clawft", "clawft")).tip("main")
	if err != nil || after != before {
		t.Errorf("the second call made %s of %s: %v", after, before, err)
	}
}

func TestRepositoryNames(t *testing.T) {
	hub, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.CreateRepository("../elsewhere", "clawft", "main"); err == nil || !strings.Contains(err.Error(), "an owner and a name have letters") {
		t.Errorf("an owner outside the hub: %v", err)
	}
}

func TestCommitKeepsModeAndOtherFiles(t *testing.T) {
	hub := openHub(t)
	git := gitDir(hub.GitDir("clawft", "clawft"))
	one, two := "#!/bin/sh\n", "#!/bin/bash\n"
	if _, err := git.commit("main", "bin/run", &one, "Add", hubPerson); err != nil {
		t.Fatal(err)
	}
	first, err := git.file("main", "bin/run")
	if err != nil || first == nil {
		t.Fatal(first, err)
	}
	// As a push by hand could have done.
	if _, err := git.git(nil, "", "update-ref", "refs/heads/x", "main"); err != nil {
		t.Fatal(err)
	}
	if _, err := git.commit("main", "bin/run", &two, "Change", hubPerson); err != nil {
		t.Fatal(err)
	}
	second, err := git.file("main", "bin/run")
	if err != nil || second.content != two || second.mode != first.mode {
		t.Errorf("%+v, %v", second, err)
	}
	if _, err := git.commit("main", "bin/run", nil, "Remove", hubPerson); err != nil {
		t.Fatal(err)
	}
	if gone, err := git.file("main", "bin/run"); err != nil || gone != nil {
		t.Errorf("a removed file is still there: %+v, %v", gone, err)
	}
	if readme, err := git.file("main", "README.md"); err != nil || readme == nil {
		t.Errorf("another file went with it: %v", err)
	}
}

// What an interrupted run had created goes; what the engine knows, and what
// somebody else wrote, stays.
func TestPrune(t *testing.T) {
	hub := openHub(t)
	if err := hub.CreateRepository("clawft", "gateway", "main"); err != nil {
		t.Fatal(err)
	}
	dir := gitDir(hub.GitDir("clawft", "gateway"))
	for path, message := range map[string]string{
		".github/known.yml":    "ci: update known",
		".github/unknown.yml":  "ci: update unknown",
		".github/somebody.yml": "Add my workflow",
	} {
		content := "on: push\n"
		if _, err := dir.commit("main", path, &content, message, hubPerson); err != nil {
			t.Fatal(err)
		}
	}
	err := hub.change("clawft", "gateway", func(r *record) error {
		r.Rulesets[1] = &ruleset{Name: "known"}
		r.Rulesets[2] = &ruleset{Name: "unknown"}
		r.Variables["UNKNOWN"] = &variable{}
		r.Environments["known"] = &environment{Secrets: map[string]*secret{"KNOWN": {}, "UNKNOWN": {}}}
		r.Environments["unknown"] = &environment{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pruned, err := hub.Prune("clawft", "gateway", "ci: update ", func(_, id string) bool {
		return id == "gateway:.github/known.yml:main" || id == "1" || id == "gateway:known" || id == "gateway:known:KNOWN"
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"file .github/unknown.yml", "ruleset unknown", "variable UNKNOWN", "secret UNKNOWN of known", "environment unknown"}
	if !slices.Equal(pruned, want) {
		t.Errorf("pruned %q, want %q", pruned, want)
	}
	for path, stays := range map[string]bool{".github/known.yml": true, ".github/unknown.yml": false, ".github/somebody.yml": true} {
		if found, err := dir.file("main", path); err != nil || (found != nil) != stays {
			t.Errorf("%s: there %v (%v), want %v", path, found != nil, err, stays)
		}
	}
}
