package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawft/infra/lab/site"
)

// repositoryDrift edits a managed workflow by hand, as somebody with access to
// the repository could, and has it found and repaired.
func repositoryDrift(t *testing.T) {
	const workflow = ".github/workflows/pr-gates.yml"
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "--quiet", site.Repository(tested.options()), clone)
	written, err := os.ReadFile(filepath.Join(clone, workflow))
	if err != nil {
		t.Fatalf("the stack wrote no workflow: %v", err)
	}

	edited := strings.Replace(string(written), "pull_request:", "push:", 1)
	if edited == string(written) {
		t.Fatal("the workflow does not run on pull requests")
	}
	if err := os.WriteFile(filepath.Join(clone, workflow), []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, clone, "-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "commit", "--quiet", "--all", "--message=Skip the gates")
	git(t, clone, "push", "--quiet", "origin", "HEAD:main")

	wantContains(t, tested.must(t, "preview", "--refresh"), "update", "RepositoryFile clawft-pr-gates (content)")
	tested.must(t, up("--refresh")...)
	git(t, clone, "pull", "--quiet", "--ff-only", "origin", "main")
	repaired, err := os.ReadFile(filepath.Join(clone, workflow))
	if err != nil {
		t.Fatal(err)
	}
	if string(repaired) != string(written) {
		t.Errorf("the workflow was not repaired:\n%s", repaired)
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.Command("git", args...)
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}
