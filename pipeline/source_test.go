package pipeline

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// serveSource makes a repository of one commit the one that git finds where the
// gateway's source is, and returns the commit, which is always the same.
func serveSource(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clawft.git")
	for name, value := range map[string]string{
		// Nothing of the user's or of the machine's, but the other address.
		"GIT_CONFIG_GLOBAL":  os.DevNull,
		"GIT_CONFIG_SYSTEM":  os.DevNull,
		"GIT_CONFIG_COUNT":   "1",
		"GIT_CONFIG_KEY_0":   "url." + dir + ".insteadOf",
		"GIT_CONFIG_VALUE_0": "https://github.com/weave-logic-ai/clawft.git",

		"GIT_AUTHOR_NAME":     "A",
		"GIT_AUTHOR_EMAIL":    "a@example.org",
		"GIT_AUTHOR_DATE":     "2026-02-28T23:30:00-05:00",
		"GIT_COMMITTER_NAME":  "A",
		"GIT_COMMITTER_EMAIL": "a@example.org",
		"GIT_COMMITTER_DATE":  "2026-02-28T23:30:00-05:00",
	} {
		t.Setenv(name, value)
	}
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"--git-dir=" + dir}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--bare")
	return git("commit-tree", "-m", "Release", git("hash-object", "-t", "tree", "-w", os.DevNull))
}
