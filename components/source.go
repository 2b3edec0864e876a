package components

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Commit is what a ref of a git repository stands for.
type Commit struct {
	// Hash has 40 hexadecimal digits.
	Hash string
	// Date is the committer's.
	Date time.Time
}

// ResolveCommit asks a git repository which commit a branch, tag or full commit
// hash stands for, so that a build is pinned to content that cannot move, and
// when that commit was made. It does so with what the build will have, and nothing
// else: what passes here can be built.
func ResolveCommit(ctx context.Context, source Source, ref string) (Commit, error) {
	if source.SSH() && os.Getenv("SSH_AUTH_SOCK") == "" {
		return Commit{}, fmt.Errorf("%s is reached with SSH, and there is no SSH agent here (SSH_AUTH_SOCK is empty): "+
			"start one and add a key that may read it, with `ssh-agent` and `ssh-add`; %s", source.URL, otherWays)
	}
	hash := ref
	if !isCommit(ref) {
		var err error
		if hash, err = lookUp(ctx, source, ref); err != nil {
			return Commit{}, err
		}
	}
	commit, err := fetchCommit(ctx, source, hash)
	if err != nil {
		return Commit{}, fmt.Errorf("fetching commit %s of %s: %w", hash, source.URL, err)
	}
	return commit, nil
}

func isCommit(ref string) bool {
	if len(ref) != 40 {
		return false
	}
	return strings.Trim(ref, "0123456789abcdef") == ""
}

// lookUp returns the hash of the commit that a branch or a tag points to.
func lookUp(ctx context.Context, source Source, ref string) (string, error) {
	// A tag object is followed to its commit by the ^{} entry.
	listed, err := source.git(ctx, "ls-remote", "--", source.URL, ref, ref+"^{}")
	if err != nil {
		return "", fmt.Errorf("listing the refs of %s: %w", source.URL, err)
	}
	found := map[string]string{}
	for line := range strings.Lines(listed) {
		if commit, name, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			found[name] = commit
		}
	}
	for _, name := range []string{"refs/tags/" + ref + "^{}", "refs/tags/" + ref, "refs/heads/" + ref, ref + "^{}", ref} {
		if commit, ok := found[name]; ok {
			return commit, nil
		}
	}
	return "", fmt.Errorf("%s has no tag or branch %q; give one that exists as clawft:image.ref, or a commit's 40-digit hash", source.URL, ref)
}

// fetchCommit reads one commit, without its files and its ancestors. Where the
// server does not leave out the files, git says so and takes them.
func fetchCommit(ctx context.Context, source Source, hash string) (Commit, error) {
	dir, err := os.MkdirTemp("", "clawft-source-")
	if err != nil {
		return Commit{}, fmt.Errorf("making a temporary repository: %w", err)
	}
	defer os.RemoveAll(dir)
	repository := "--git-dir=" + dir
	if _, err := source.git(ctx, repository, "init", "--quiet", "--bare"); err != nil {
		return Commit{}, fmt.Errorf("making a temporary repository: %w", err)
	}
	if _, err := source.git(ctx, repository, "fetch", "--quiet", "--no-tags", "--depth=1", "--filter=tree:0", "--", source.URL, hash); err != nil {
		if ctx.Err() != nil || errors.Is(err, errNoAccess) {
			return Commit{}, err
		}
		return Commit{}, fmt.Errorf("%w; the build fetches it by its hash as well: give a tag, a branch or a commit that the server has as clawft:image.ref", err)
	}
	// The hash can be that of a tag object.
	shown, err := source.git(ctx, repository, "show", "--no-patch", "--no-show-signature", "--format=%H %cI", hash+"^{commit}", "--")
	if err != nil {
		return Commit{}, err
	}
	hash, date, _ := strings.Cut(strings.TrimSpace(shown), " ")
	committed, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return Commit{}, fmt.Errorf("reading its date: %w", err)
	}
	return Commit{Hash: hash, Date: committed}, nil
}
