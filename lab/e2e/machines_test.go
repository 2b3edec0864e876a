package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// anotherMachine is the lab as another machine sees it: with an empty home, a
// checkout of its own, and nothing that was ever built.
func anotherMachine(t *testing.T) lab {
	t.Helper()
	machine := tested
	machine.home = t.TempDir()
	checkout := filepath.Join(machine.home, "checkout")
	if err := os.Mkdir(checkout, 0o755); err != nil {
		t.Fatal(err)
	}
	copied := exec.Command("sh", "-c", `git ls-files -z --cached --others --exclude-standard | tar --null --files-from - --create | tar --directory "$1" --extract`, "sh", checkout)
	copied.Dir = tested.root
	if output, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("copying the checkout: %v\n%s", err, output)
	}
	return machine
}

// environment is what differs on the other machine: who it is, where it is, and
// that it says it is a runner of GitHub's.
func (l lab) environment() []string {
	environment := []string{
		"HOME=" + l.home, "USER=runner", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8", "GITHUB_ACTIONS=true", "CI=true",
		"DOCKER_CONFIG=" + filepath.Join(l.home, "docker"), "XDG_CONFIG_HOME=" + filepath.Join(l.home, "config"),
	}
	// What Go has compiled and fetched is no part of the question.
	output, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		panic(err)
	}
	for n, value := range strings.Fields(string(output)) {
		environment = append(environment, []string{"GOCACHE", "GOMODCACHE"}[n]+"="+value)
	}
	return environment
}

// wantUnchanged demands that a run reports nothing but what is as it was.
func wantUnchanged(t *testing.T, output, summary string) {
	t.Helper()
	at := strings.Index(output, summary)
	if at < 0 {
		t.Fatalf("the output has no %q:\n%s", summary, output)
	}
	for _, word := range []string{" created", " updated", "REPLACED", " deleted"} {
		if strings.Contains(output[at:], word) {
			t.Errorf("what is unchanged reports%s:\n%s", word, output)
		}
	}
}

// otherMachines releases from a second machine what the first one has begun, and
// compares from a third.
func otherMachines(t *testing.T) {
	next, third := anotherMachine(t), anotherMachine(t)
	nextPublication(t, next)
	wantUnchanged(t, third.must(t, publishing(second)...), "stack     ")
	arguments := publishing(second)
	arguments[0] = "preview"
	third.must(t, append(arguments, "--refresh", "--expect-no-changes")...)
}

// goingBack deploys an earlier release from a machine that has never built one,
// with nothing in BuildKit's cache.
func goingBack(t *testing.T) {
	before := publicTags(t)
	if err := os.RemoveAll(filepath.Join(tested.root, ".lab", "cache", "buildkit", "root")); err != nil {
		t.Fatal(err)
	}
	machine := anotherMachine(t)
	output := machine.must(t, publishing(first)...)
	if strings.Contains(output, "updated  Image") || strings.Contains(output, "created  Image") {
		t.Errorf("what is published was built again:\n%s", output)
	}
	tested.wantVersion(t, first)
	if got := deployed(t); got != before[first] {
		t.Errorf("deployed is %s, and %s is published", got, before[first])
	}
	wantTags(t, before)
	wantUnchanged(t, machine.must(t, publishing(first)...), "stack     ")
}
