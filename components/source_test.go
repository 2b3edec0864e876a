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

// tree makes an empty one and returns its hash.
func (u upstream) tree(t *testing.T) string {
	t.Helper()
	return u.git(t, "hash-object", "-t", "tree", "-w", os.DevNull)
}

// commit makes a commit of an empty tree.
func (u upstream) commit(t *testing.T, message, date string) Commit {
	t.Helper()
	// Written long ago, and committed on the date.
	t.Setenv("GIT_AUTHOR_DATE", "2001-02-03T04:05:06Z")
	t.Setenv("GIT_COMMITTER_DATE", date)
	committed, err := time.Parse(time.RFC3339, date)
	if err != nil {
		t.Fatal(err)
	}
	return Commit{u.git(t, "commit-tree", "-m", message, u.tree(t)), committed}
}

func TestResolveCommit(t *testing.T) {
	u := newUpstream(t)
	old := u.commit(t, "old", "2026-01-31T23:59:59Z")
	release := u.commit(t, "release", "2026-02-28T23:30:00-05:00")
	main := u.commit(t, "main", "2026-03-01T12:00:00+02:00")
	both := u.commit(t, "both", "2026-03-02T12:00:00Z")
	u.git(t, "update-ref", "refs/heads/main", main.Hash)
	u.git(t, "update-ref", "refs/heads/feature/other", old.Hash)
	u.git(t, "update-ref", "refs/tags/v0.6.18", old.Hash)
	u.git(t, "tag", "--annotate", "--message", "release", "v0.6.19", release.Hash)
	u.git(t, "update-ref", "refs/heads/both", main.Hash)
	u.git(t, "update-ref", "refs/tags/both", both.Hash)
	u.git(t, "tag", "--annotate", "--message", "again", "v0.6.19-again", "v0.6.19")
	tag := u.git(t, "rev-parse", "v0.6.19")
	if tag == release.Hash {
		t.Fatal("the annotated tag has no object of its own")
	}

	for _, test := range []struct {
		name, ref string
		want      Commit
	}{
		{"branch", "main", main},
		{"branch with a slash", "feature/other", old},
		{"tag", "v0.6.18", old},
		{"annotated tag", "v0.6.19", release},
		{"tag of a tag", "v0.6.19-again", release},
		{"tag and branch of one name", "both", both},
		{"full name of a branch", "refs/heads/main", main},
		{"full name of an annotated tag", "refs/tags/v0.6.19", release},
		{"default branch", "HEAD", main},
		{"commit", release.Hash, release},
		{"hash of an annotated tag", tag, release},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ResolveCommit(t.Context(), Source{URL: u.dir}, test.ref)
			if err != nil || got.Hash != test.want.Hash || !got.Date.Equal(test.want.Date) {
				t.Errorf("%s is %v, %v; want %v", test.ref, got, err, test.want)
			}
		})
	}

	for _, test := range []struct{ name, ref string }{
		{"unknown", "v9.9.9"},
		{"the last part of another name", "other"},
		{"an abbreviated commit", release.Hash[:12]},
		{"a commit in upper case", strings.ToUpper(strings.Repeat("ab", 20))},
		{"a pattern", "v0.6.*"},
		{"an option", "--upload-pack=touch injected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ResolveCommit(t.Context(), Source{URL: u.dir}, test.ref)
			want := u.dir + ` has no tag or branch "` + test.ref + `"; give one that exists as clawft:image.ref, or a commit's 40-digit hash`
			if err == nil || err.Error() != want {
				t.Errorf("got %v, %v; want %s", got, err, want)
			}
		})
	}
}

// What cannot be fetched by its hash cannot be built either.
func TestResolveCommitThatIsNotThere(t *testing.T) {
	u := newUpstream(t)
	absent := strings.Repeat("0f", 20)
	for _, test := range []struct{ name, hash, want string }{
		{"absent", absent, "not our ref " + absent + "; the build fetches it by its hash as well: give a tag, a branch or a commit that the server has as clawft:image.ref"},
		{"not a commit", u.tree(t), "expected commit type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ResolveCommit(t.Context(), Source{URL: u.dir}, test.hash)
			if err == nil {
				t.Fatalf("got %v", got)
			}
			for _, want := range []string{"fetching commit " + test.hash + " of " + u.dir + ": exit status 128: ", test.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
}

// The date costs one commit, however large the repository is.
func TestResolveCommitFetchesNoFiles(t *testing.T) {
	for _, test := range []struct{ name, filters string }{
		{"from a server that leaves them out", "true"},
		{"from one that cannot", "false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := newUpstream(t)
			u.git(t, "config", "uploadpack.allowFilter", test.filters)
			want := u.commit(t, "main", "2026-03-01T12:00:00Z")
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			sent := filepath.Join(t.TempDir(), "trace")
			t.Setenv("GIT_TRACE_PACKET", sent)

			got, err := ResolveCommit(t.Context(), Source{URL: u.dir}, want.Hash)
			if err != nil || got.Hash != want.Hash || !got.Date.Equal(want.Date) {
				t.Fatalf("got %v, %v; want %v", got, err, want)
			}
			left, err := os.ReadDir(temporary)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			trace, err := os.ReadFile(sent)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(trace), "deepen 1") {
				t.Error("its ancestors are fetched as well")
			}
			if got := strings.Contains(string(trace), "filter tree:0"); got != (test.filters == "true") {
				t.Errorf("asked to leave the files out: %v", got)
			}
		})
	}
}

func TestResolveCommitOfAnUnreachableRepository(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent.git")
	_, err := ResolveCommit(t.Context(), Source{URL: absent}, "main")
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
	url := "http://" + listener.Addr().String() + "/clawft.git"
	commit := strings.Repeat("0f", 20)
	for _, test := range []struct{ name, ref, want string }{
		{"asked for a branch", "main", "listing the refs of " + url},
		{"asked for a commit", commit, "fetching commit " + commit + " of " + url},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := ResolveCommit(ctx, Source{URL: url}, test.ref)
			if want := test.want + ": no answer: context deadline exceeded"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s to give up after 0.2 s", took)
			}
		})
	}
}
