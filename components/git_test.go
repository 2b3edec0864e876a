package components

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
	"github.com/clawft/infra/internal/testgit"
)

// The check has what the build has: a repository that only this user can read,
// here, could not be built.
func TestPrivateSource(t *testing.T) {
	u := newUpstream(t)
	release := u.commit(t, "release", "2026-02-28T23:30:00-05:00")
	u.git(t, "update-ref", "refs/tags/v0.6.19", release.Hash)
	server := testgit.Serve(t, filepath.Dir(u.dir), "x-access-token", canary)
	address := server.URL + "/" + filepath.Base(u.dir)

	// What this user and this machine could log in with.
	home := t.TempDir()
	host := strings.TrimPrefix(server.URL, "http://")
	login := "http://x-access-token:" + canary + "@" + host
	for name, text := range map[string]string{
		".netrc":       "machine 127.0.0.1 login x-access-token password " + canary + "\n",
		".credentials": login + "\n",
		".gitconfig":   "[credential]\n  helper = store --file=" + home + "/.credentials\n[url \"" + login + "/\"]\n  insteadOf = " + server.URL + "/\n",
		"askpass":      "#!/bin/sh\ncase $1 in User*) echo x-access-token ;; *) echo " + canary + " ;; esac\n",
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"HOME": home, "GIT_CONFIG_GLOBAL": filepath.Join(home, ".gitconfig"), "GIT_ASKPASS": filepath.Join(home, "askpass"),
		"GIT_TRACE_CURL": "1", "GIT_CURL_VERBOSE": "1", "GIT_TRACE_REDACT": "0",
	} {
		t.Setenv(name, value)
	}
	const (
		token = "clawft:sourceToken"
		agent = "SSH agent"
	)
	for _, ref := range []string{"v0.6.19", release.Hash} {
		for _, test := range []struct {
			name   string
			source Source
			wanted []string
		}{
			{"no login", Source{URL: address}, []string{token, agent}},
			{"another token", Source{URL: address, Username: "x-access-token", Token: canary + "-old"}, []string{"check " + token}},
			{"another user", Source{URL: address, Username: "bot", Token: canary}, []string{"clawft:image.sourceUsername"}},
			{"the token", Source{URL: address, Username: "x-access-token", Token: canary}, nil},
		} {
			t.Run(test.name, func(t *testing.T) {
				got, err := ResolveCommit(t.Context(), test.source, ref)
				if test.wanted == nil {
					if err != nil || got.Hash != release.Hash {
						t.Errorf("got %v, %v; want %v", got, err, release)
					}
					return
				}
				if !errors.Is(err, errNoAccess) {
					t.Fatalf("got %v, %v; want %v", got, err, errNoAccess)
				}
				for _, want := range append(test.wanted, address) {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error lacks %q: %v", want, err)
					}
				}
				if strings.Contains(err.Error(), canary) || test.source.Token != "" && strings.Contains(err.Error(), strings.Fields(test.source.Header())[1]) {
					t.Errorf("the error shows the token: %v", err)
				}
			})
		}
	}
}

// Where git is installed with its translations, it says so in the user's language.
func TestSourceThatIsNotThereInAnotherLanguage(t *testing.T) {
	u := newUpstream(t)
	server := testgit.Serve(t, filepath.Dir(u.dir), "x-access-token", canary)
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("LANGUAGE", "de")
	_, err := ResolveCommit(t.Context(), Source{URL: server.URL + "/none.git", Username: "x-access-token", Token: canary}, "main")
	if !errors.Is(err, errNoAccess) {
		t.Errorf("got %v, want %v", err, errNoAccess)
	}
}

func TestSourceOverSSHNeedsAnAgent(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	for _, address := range []string{"git@github.com:x/y.git", "ssh://git@git.example.org:2222/x/y.git"} {
		_, err := ResolveCommit(t.Context(), Source{URL: address}, "main")
		for _, want := range []string{address, "SSH_AUTH_SOCK", "ssh-add", "clawft:sourceToken"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
	}
}

// A token is in nothing but a secret, and another one builds nothing again.
func TestSourceLogin(t *testing.T) {
	for _, test := range []struct {
		name  string
		login *SourceLogin
		want  map[string]string
	}{
		{"public", nil, map[string]string{"secrets": "null", "ssh": "null", "ignoreSecretsInDiffCalculation": "null"}},
		{"SSH", &SourceLogin{SSH: true}, map[string]string{"secrets": "null", "ssh": `[{"id":"default"}]`}},
		{"HTTP", &SourceLogin{Host: "git.example.org:8443", Header: pulumi.String(canary)}, map[string]string{
			"secrets":                        `{"GIT_AUTH_HEADER.git.example.org:8443":"` + canary + `"}`,
			"ignoreSecretsInDiffCalculation": `["GIT_AUTH_HEADER.git.example.org:8443"]`,
			"ssh":                            "null",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				wantInputs(t, buildOf(t, r, func(args *ImageArgs) { args.SourceLogin = test.login }), test.want)
				wantNoPlainText(t, r, canary)
			})
		})
	}
}
