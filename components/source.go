package components

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// gitWaitDelay is how long after its time limit git may take to end.
const gitWaitDelay = 2 * time.Second

// ResolveCommit asks a git repository which commit a branch, tag or full commit
// hash stands for, so that a build is pinned to content that cannot move.
func ResolveCommit(ctx context.Context, url, ref string) (string, error) {
	if isCommit(ref) {
		return ref, nil
	}
	// A tag object is followed to its commit by the ^{} entry.
	var stdout, stderr bytes.Buffer
	git := exec.CommandContext(ctx, "git", "ls-remote", "--", url, ref, ref+"^{}")
	git.Env = append(git.Environ(), "GIT_TERMINAL_PROMPT=0")
	git.Stdout, git.Stderr = &stdout, &stderr
	// Git's helper for the transport outlives it, and holds the pipes.
	git.WaitDelay = gitWaitDelay
	if err := git.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("listing the refs of %s: no answer: %w", url, ctx.Err())
		}
		return "", fmt.Errorf("listing the refs of %s: %w: %s", url, err, strings.TrimSpace(stderr.String()))
	}
	found := map[string]string{}
	for line := range strings.Lines(stdout.String()) {
		if commit, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			found[name] = commit
		}
	}
	for _, name := range []string{"refs/tags/" + ref + "^{}", "refs/tags/" + ref, "refs/heads/" + ref, ref + "^{}", ref} {
		if commit, ok := found[name]; ok {
			return commit, nil
		}
	}
	return "", fmt.Errorf("%s has no tag or branch %q; give one that exists as clawft:image.ref, or a commit's 40-digit hash", url, ref)
}

func isCommit(ref string) bool {
	if len(ref) != 40 {
		return false
	}
	return strings.Trim(ref, "0123456789abcdef") == ""
}
