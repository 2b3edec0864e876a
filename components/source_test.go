package components

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// upstream is a bare git repository.
type upstream struct{ dir string }

func newUpstream(t *testing.T) upstream {
	t.Helper()
	// Neither the user's configuration nor the machine's may change what git does.
	for key, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull,
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
		"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
	} {
		t.Setenv(key, value)
	}
	u := upstream{filepath.Join(t.TempDir(), "clawft.git")}
	u.git(t, "init", "--quiet", "--bare", "--initial-branch=main", u.dir)
	return u
}

func (u upstream) git(t *testing.T, args ...string) string {
	t.Helper()
	git := exec.Command("git", args...)
	if args[0] != "init" {
		git.Dir = u.dir
	}
	out, err := git.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes a commit of an empty tree and returns its hash.
func (u upstream) commit(t *testing.T, message string) string {
	t.Helper()
	tree := u.git(t, "hash-object", "-t", "tree", "-w", os.DevNull)
	return u.git(t, "commit-tree", "-m", message, tree)
}

func TestResolveCommit(t *testing.T) {
	u := newUpstream(t)
	main, release, old, both := u.commit(t, "main"), u.commit(t, "release"), u.commit(t, "old"), u.commit(t, "both")
	u.git(t, "update-ref", "refs/heads/main", main)
	u.git(t, "update-ref", "refs/heads/feature/other", old)
	u.git(t, "update-ref", "refs/tags/v0.6.18", old)
	u.git(t, "tag", "--annotate", "--message", "release", "v0.6.19", release)
	u.git(t, "update-ref", "refs/heads/both", main)
	u.git(t, "update-ref", "refs/tags/both", both)
	u.git(t, "tag", "--annotate", "--message", "again", "v0.6.19-again", "v0.6.19")
	if tag := u.git(t, "rev-parse", "v0.6.19"); tag == release {
		t.Fatal("the annotated tag has no object of its own")
	}

	for _, test := range []struct{ name, ref, want string }{
		{"branch", "main", main},
		{"branch with a slash", "feature/other", old},
		{"tag", "v0.6.18", old},
		{"annotated tag", "v0.6.19", release},
		{"tag of a tag", "v0.6.19-again", release},
		{"tag and branch of one name", "both", both},
		{"full name of a branch", "refs/heads/main", main},
		{"full name of an annotated tag", "refs/tags/v0.6.19", release},
		{"default branch", "HEAD", main},
		{"commit", release, release},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ResolveCommit(t.Context(), u.dir, test.ref)
			if err != nil || got != test.want {
				t.Errorf("%s is %q, %v; want %s", test.ref, got, err, test.want)
			}
		})
	}

	for _, test := range []struct{ name, ref string }{
		{"unknown", "v9.9.9"},
		{"the last part of another name", "other"},
		{"an abbreviated commit", release[:12]},
		{"a commit in upper case", strings.ToUpper(strings.Repeat("ab", 20))},
		{"a pattern", "v0.6.*"},
		{"an option", "--upload-pack=touch injected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ResolveCommit(t.Context(), u.dir, test.ref)
			want := u.dir + ` has no tag or branch "` + test.ref + `"; give one that exists as clawft:image.ref, or a commit's 40-digit hash`
			if err == nil || err.Error() != want {
				t.Errorf("got %q, %v; want %s", got, err, want)
			}
		})
	}
}

func TestResolveCommitAsksNobodyAboutACommit(t *testing.T) {
	commit := strings.Repeat("0f", 20)
	got, err := ResolveCommit(t.Context(), "https://nowhere.invalid/clawft.git", commit)
	if err != nil || got != commit {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestResolveCommitOfAnUnreachableRepository(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent.git")
	_, err := ResolveCommit(t.Context(), absent, "main")
	if err == nil {
		t.Fatal("an absent repository was accepted")
	}
	for _, want := range []string{"listing the refs of " + absent + ": exit status 128: ", "does not appear to be a git repository"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

// Git's helper for HTTP goes on waiting when git itself has been killed.
func TestResolveCommitOfASilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	t.Setenv("NO_PROXY", "127.0.0.1")
	t.Setenv("no_proxy", "127.0.0.1")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()

	url := "http://" + listener.Addr().String() + "/clawft.git"
	start := time.Now()
	_, err = ResolveCommit(ctx, url, "main")
	if want := "listing the refs of " + url + ": no answer: context deadline exceeded"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s to give up after 0.2 s", took)
	}
}
