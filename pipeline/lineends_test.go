package pipeline

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whatever the program embeds is looked at.
func TestEveryEmbeddedFileIsChecked(t *testing.T) {
	directive := regexp.MustCompile(`(?m)^//go:embed (.+)$`)
	count := 0
	files := map[string]string{}
	if err := addCarried(".", files); err != nil {
		t.Fatal(err)
	}
	carried := func(directory, pattern string) bool {
		for name := range files {
			if ok, err := path.Match(path.Join(directory, strings.TrimPrefix(pattern, "all:")), name); ok && err == nil {
				return true
			}
		}
		return false
	}
	for _, name := range strings.Fields(git(t, "..", "ls-files", "*.go")) {
		if strings.HasPrefix(name, "lab/") || strings.HasPrefix(name, "tools/") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		directory := filepath.Dir(name)
		for _, match := range directive.FindAllStringSubmatch(string(source), -1) {
			for pattern := range strings.FieldsSeq(match[1]) {
				count++
				if carried(directory, pattern) {
					continue
				}
				files, found := embedded[directory]
				if !found {
					t.Errorf("%s embeds %s, but the line ends of %s are not checked", name, pattern, directory)
					continue
				}
				matches, err := fs.Glob(files, pattern)
				if err != nil || len(matches) == 0 {
					t.Errorf("%s embeds %s, which Sources does not have (%v)", name, pattern, err)
				}
			}
		}
	}
	if count == 0 {
		t.Error("no //go:embed was found")
	}
}

// A checkout that Windows made, or a git that was configured as on Windows, is right or refused.
func TestWindowsCheckouts(t *testing.T) {
	clone := func(t *testing.T, origin string) string {
		t.Helper()
		directory := filepath.Join(t.TempDir(), "clone")
		git(t, ".", "clone", "-q", "-c", "core.autocrlf=true", origin, directory)
		return directory
	}
	found := func(t *testing.T, checkout string) (all []string) {
		t.Helper()
		for directory := range embedded {
			names, err := withCarriageReturn(os.DirFS(filepath.Join(checkout, directory)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, names...)
		}
		return all
	}
	origin := copied(t)
	attributes, err := os.ReadFile(filepath.Join(origin, ".gitattributes"))
	if err != nil {
		t.Fatal(err)
	}
	record := func(message string) {
		git(t, origin, "add", "-A")
		git(t, origin, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", message)
	}
	if err := os.Remove(filepath.Join(origin, ".gitattributes")); err != nil {
		t.Fatal(err)
	}
	git(t, origin, "init", "-q")
	record("before")
	old := clone(t, origin)
	if err := os.WriteFile(filepath.Join(origin, ".gitattributes"), attributes, 0o600); err != nil {
		t.Fatal(err)
	}
	record("after")

	if wrong, err := withCarriageReturn(os.DirFS(clone(t, origin))); err != nil || slices.ContainsFunc(wrong, func(name string) bool { return !strings.HasPrefix(name, ".git/") }) {
		t.Errorf("a new clone has Windows' line ends in %v (%v)", wrong, err)
	}
	git(t, old, "pull", "-q")
	refused := wrongLineEnds(found(t, old))
	if refused == nil {
		t.Fatal("a clone from before .gitattributes is not refused")
	}
	_, remedy, _ := strings.Cut(refused.Error(), "then: ")
	command := exec.Command("sh", "-c", remedy)
	command.Dir = old
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", remedy, err, output)
	}
	if wrong := found(t, old); len(wrong) > 0 {
		t.Errorf("after what the error says, Windows' line ends are still in %v", wrong)
	}
}

// copied is a copy of what is tracked of the checkout, as it lies there.
func copied(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimRight(git(t, "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join("..", name))
		if os.IsNotExist(err) { // deleted, not yet committed
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func git(t *testing.T, directory string, args ...string) string {
	t.Helper()
	command := exec.Command("git", args...)
	command.Dir = directory
	// Neither the machine's settings nor those of a hook that runs the tests.
	command.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") }), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	output, err := command.Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return string(output)
}
