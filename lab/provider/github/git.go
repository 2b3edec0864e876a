package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// gitDir is a bare repository.
type gitDir string

// gitTimeout bounds one git command; they are all local.
const gitTimeout = 30 * time.Second

// person is who a commit is by.
type person struct{ name, email string }

// hubPerson makes the commits of whoever gives no name.
var hubPerson = person{"GitHub", "noreply@github.com"}

// blob is a file at the tip of a branch.
type blob struct {
	sha, mode, content string
}

func initialize(dir gitDir, branch, readme string) error {
	if err := os.MkdirAll(string(dir), 0o755); err != nil {
		return err
	}
	if _, err := dir.git(nil, "", "init", "--quiet", "--bare", "--initial-branch="+branch); err != nil {
		return err
	}
	_, err := dir.commit(branch, "README.md", &readme, "Initial commit", hubPerson)
	return err
}

// tip is the commit of a branch, or "" if there is none.
func (dir gitDir) tip(branch string) (string, error) {
	out, err := dir.git(nil, "", "for-each-ref", "--format=%(objectname)", "refs/heads/"+branch)
	return strings.TrimSpace(out), err
}

// file is nil if the branch has no such file.
func (dir gitDir) file(branch, path string) (*blob, error) {
	entry, err := dir.git(nil, "", "ls-tree", "-z", "refs/heads/"+branch, "--", path)
	if err != nil || entry == "" {
		return nil, err
	}
	fields := strings.Fields(strings.SplitN(entry, "\t", 2)[0])
	if len(fields) != 3 || fields[1] != "blob" {
		return nil, nil
	}
	content, err := dir.git(nil, "", "cat-file", "blob", fields[2])
	return &blob{mode: fields[0], sha: fields[2], content: content}, err
}

// commit writes a file, or removes it if content is nil, and returns the commit.
func (dir gitDir) commit(branch, path string, content *string, message string, by person) (string, error) {
	parent, err := dir.tip(branch)
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp("", "clawft-lab-index-")
	if err != nil {
		return "", fmt.Errorf("making an index: %w", err)
	}
	defer os.RemoveAll(work)
	env := []string{
		"GIT_INDEX_FILE=" + filepath.Join(work, "index"),
		"GIT_AUTHOR_NAME=" + by.name, "GIT_AUTHOR_EMAIL=" + by.email,
		"GIT_COMMITTER_NAME=" + by.name, "GIT_COMMITTER_EMAIL=" + by.email,
	}
	mode, parents := "100644", []string{}
	if parent != "" {
		parents = []string{"-p", parent}
		if _, err := dir.git(env, "", "read-tree", parent); err != nil {
			return "", err
		}
		if old, err := dir.file(branch, path); err != nil {
			return "", err
		} else if old != nil {
			mode = old.mode
		}
	}
	if content == nil {
		// --force-remove wants a work tree; mode 0 removes without one.
		_, err = dir.git(env, "0 "+strings.Repeat("0", 40)+"\t"+path+"\n", "update-index", "--index-info")
	} else {
		var sha string
		if sha, err = dir.git(env, *content, "hash-object", "-w", "--stdin"); err == nil {
			_, err = dir.git(env, "", "update-index", "--add", "--cacheinfo", mode+","+strings.TrimSpace(sha)+","+path)
		}
	}
	if err != nil {
		return "", err
	}
	tree, err := dir.git(env, "", "write-tree")
	if err != nil {
		return "", err
	}
	out, err := dir.git(env, message, append([]string{"commit-tree", strings.TrimSpace(tree), "-F", "-"}, parents...)...)
	if err != nil {
		return "", err
	}
	commit := strings.TrimSpace(out)
	// The old value: a push in between must not be lost.
	_, err = dir.git(nil, "", "update-ref", "refs/heads/"+branch, commit, parent)
	return commit, err
}

// lastChange is the last commit of a branch that changed a file, and its message.
func (dir gitDir) lastChange(branch, path string) (commit, message string, err error) {
	out, err := dir.git(nil, "", "log", "-1", "--format=%H%n%B", "refs/heads/"+branch, "--", path)
	commit, message, _ = strings.Cut(out, "\n")
	return commit, strings.TrimRight(message, "\n"), err
}

func (dir gitDir) git(env []string, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir=" + string(dir)}, args...)...)
	// Nobody's hooks, signatures or names.
	cmd.Env = append(append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"), env...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("running git: %w; install it (apt-get install git)", err)
		}
		return "", fmt.Errorf("running git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
