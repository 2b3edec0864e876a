package pipeline

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/clawft/infra/internal/recorder"
)

const password = "right-canary"

// guarded lets the user bot read and push, the user reader read, and nobody else do
// anything.
func guarded(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		user, given, _ := request.BasicAuth()
		switch {
		case given != password || user != "bot" && user != "reader":
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		case request.Method == http.MethodPost && user == "reader":
			w.WriteHeader(http.StatusForbidden)
		default:
			inner.ServeHTTP(w, request)
		}
	})
}

// dockerLogin makes a login that of Docker's command line on this machine.
func dockerLogin(t *testing.T, user, password string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	text := fmt.Sprintf(`{"auths":{"ghcr.io":{"username":%q,"password":%q}}}`, user, password)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// configuredLogin makes a login that of a stack's configuration.
func configuredLogin(t *testing.T, r *recorder.Recorder, key, userKey, user, password string) {
	t.Helper()
	setPath(t, r, "clawft:image", userKey, user)
	r.Config[key] = password
	r.SecretKeys = append(r.SecretKeys, key)
}

// wantRefusal demands an error with some words, without a secret, and that nothing
// was registered but what is only read.
func wantRefusal(t *testing.T, r *recorder.Recorder, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("it was not refused")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, want %q in it", err, word)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error shows a secret: %v", err)
	}
	for _, registered := range r.Resources() {
		if registered.Type != stackReference && registered.Type != "pulumi:pulumi:Stack" {
			t.Errorf("%s %s was registered", registered.Type, registered.Name)
		}
	}
}

// Whoever is to push needs a login that is accepted, which a preview finds out, and
// one that may push, which an update does before it registers anything.
func TestPushLogins(t *testing.T) {
	const docker, config = "Docker's", "configured"
	for _, login := range []struct {
		from, user, password string
		// preview and update are parts of the error, if there is to be one.
		preview, update []string
	}{
		{"", "", "", []string{"nobody is logged in", "docker login ghcr.io", "clawft:registryPassword"}, []string{"nobody is logged in", "docker login ghcr.io", "clawft:registryPassword"}},
		{docker, "bot", "wrong-canary", []string{"refuses the login", `"bot"`, "docker login ghcr.io"}, []string{"refuses the login", `"bot"`, "docker login ghcr.io"}},
		{config, "bot", "wrong-canary", []string{`"bot"`, "ghcr.io", "--secret clawft:registryPassword"}, []string{`"bot"`, "ghcr.io", "--secret clawft:registryPassword"}},
		{docker, "bot", password, nil, nil},
		{config, "bot", password, nil, nil},
		{docker, "reader", password, nil, []string{"may be pushed to", "403"}},
		{config, "reader", password, nil, []string{"may be pushed to", "403", `"reader"`}},
	} {
		for stack, everPublished := range map[string][]string{"prod": {"", "0.6.18"}, "dev": {""}} {
			for _, published := range everPublished {
				for _, preview := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s after %q, login %s %s:%s, preview %v", stack, published, login.from, login.user, login.password, preview), func(t *testing.T) {
						r := recordedStack(t, stack)
						r.Preview = preview
						serveWith(t, guarded(serveTags(t, strings.Fields(published)...)))
						// The hosts' login is none to push with.
						configuredLogin(t, r, "clawft:registryPullToken", "pullUsername", "reader", password)
						switch login.from {
						case docker:
							dockerLogin(t, login.user, login.password)
						case config:
							// Which the configuration's goes before.
							dockerLogin(t, "bot", password)
							configuredLogin(t, r, "clawft:registryPassword", "username", login.user, login.password)
						}
						want := login.update
						if preview {
							want = login.preview
						}
						err := r.Run(Deploy)
						if want != nil {
							wantRefusal(t, r, err, want...)
						} else if err != nil {
							t.Error(err)
						}
						if messages := r.Messages(); want == nil && slices.ContainsFunc(messages, func(message string) bool {
							return strings.Contains(message, "ghcr.io") && !strings.Contains(message, "is published already")
						}) {
							t.Errorf("there are warnings: %q", messages)
						}
					})
				}
			}
		}
	}
}

// What hosts have to pull they may, by the login that they are given and no other.
func TestPullLogins(t *testing.T) {
	const absent = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	for _, test := range []struct {
		name           string
		open           bool
		user, password string
		digest         string
		// want are parts of the error, if there is to be one.
		want []string
	}{
		{name: "public", open: true, digest: digest},
		{name: "public, with a login", open: true, user: "reader", password: password, digest: digest},
		{name: "private", user: "reader", password: password, digest: digest},
		{name: "private, with another password", user: "reader", password: "wrong-canary", digest: digest,
			want: []string{`"reader"`, "clawft:image.pullUsername", "--secret clawft:registryPullToken"}},
		{name: "private, without a login", digest: digest, want: []string{"the hosts cannot pull", "make it public", "clawft:image.pullUsername", "--secret clawft:registryPullToken"}},
		{name: "public, without the image", open: true, digest: absent, want: []string{"the hosts cannot pull", absent, "the registry does not have it"}},
		{name: "private, without the image", user: "reader", password: password, digest: absent, want: []string{"the hosts cannot pull", absent, `"reader"`}},
	} {
		for _, preview := range []bool{false, true} {
			for _, deployed := range []string{"", test.digest} {
				t.Run(fmt.Sprintf("%s, preview %v, deployed %q", test.name, preview, deployed), func(t *testing.T) {
					r := recordedStack(t, "dev")
					r.Preview = preview
					for key, value := range map[string]any{"source": "", "ref": "", "digest": test.digest} {
						setPath(t, r, "clawft:image", key, value)
					}
					handler := serveTags(t)
					if !test.open {
						handler = guarded(handler)
					}
					serveWith(t, handler)
					// Docker's own login is not the hosts'.
					dockerLogin(t, "bot", password)
					if test.user != "" {
						configuredLogin(t, r, "clawft:registryPullToken", "pullUsername", test.user, test.password)
					}
					left(r, map[string]any{"digest": deployed})
					err := r.Run(Deploy)
					warned := slices.ContainsFunc(r.Messages(), func(message string) bool { return strings.Contains(message, "cannot pull") })
					switch {
					case test.want == nil:
						if err != nil || warned {
							t.Errorf("got %v, %q", err, r.Messages())
						}
					case deployed == "" || test.password == "wrong-canary":
						wantRefusal(t, r, err, test.want...)
					// The hosts have it already, and other changes are not held up.
					case err != nil || !warned:
						t.Errorf("got %v, %q; want a warning", err, r.Messages())
					}
				})
			}
		}
	}
}

// unreachable is the way to no registry.
type unreachable struct{}

var _ http.RoundTripper = unreachable{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no such host")
}

// What is no answer is read as none. An update that publishes has to know, and
// changes nothing; a preview and everything else goes on, and says so.
func TestRegistriesWithoutAnAnswer(t *testing.T) {
	answer := func(status int) func(t *testing.T) {
		return func(t *testing.T) {
			serveWith(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		}
	}
	for name, test := range map[string]struct {
		serve func(t *testing.T)
		want  string
	}{
		"broken":      {answer(http.StatusInternalServerError), "500"},
		"a teapot":    {answer(http.StatusTeapot), "418"},
		"no entrance": {answer(http.StatusForbidden), "403"},
		"unreachable": {func(t *testing.T) {
			before := remote.DefaultTransport
			t.Cleanup(func() { remote.DefaultTransport = before })
			remote.DefaultTransport = unreachable{}
		}, "cannot be reached"},
	} {
		for _, stack := range []struct {
			name, is  string
			configure map[string]any
		}{
			{"prod", "publishes", nil},
			{"dev", "builds", nil},
			{"dev", "deploys", map[string]any{"source": "", "ref": "", "digest": digest}},
		} {
			for _, preview := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s %s, preview %v", name, stack.name, stack.is, preview), func(t *testing.T) {
					r := recordedStack(t, stack.name)
					r.Preview = preview
					for key, value := range stack.configure {
						setPath(t, r, "clawft:image", key, value)
					}
					configuredLogin(t, r, "clawft:registryPullToken", "pullUsername", "reader", password)
					test.serve(t)
					err := r.Run(Deploy)
					if stack.is == "publishes" && !preview {
						wantRefusal(t, r, err, test.want, "ghcr.io")
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if !slices.ContainsFunc(r.Messages(), func(message string) bool {
						return strings.Contains(message, test.want) && strings.Contains(message, "ghcr.io")
					}) {
						t.Errorf("no warning says so: %q", r.Messages())
					}
					if stack.is == "publishes" && len(tagsOf(t, r)) != 1 {
						t.Errorf("published would be %v, want 0.6.19 alone", tagsOf(t, r))
					}
				})
			}
		}
	}
	for _, preview := range []bool{false, true} {
		t.Run(fmt.Sprintf("something else than a registry, preview %v", preview), func(t *testing.T) {
			r := recordedStack(t, "dev")
			r.Preview = preview
			serveWith(t, http.NotFoundHandler())
			wantRefusal(t, r, r.Run(Deploy), "there is no registry", "ghcr.io", "clawft:image.repository")
		})
	}
}

// Every step that writes to the registry does so with the login that may push.
func TestWritersHaveThePushLogin(t *testing.T) {
	for _, configured := range []bool{false, true} {
		r := recordedStack(t, "prod")
		configuredLogin(t, r, "clawft:registryPullToken", "pullUsername", "reader", "pull-canary")
		if configured {
			configuredLogin(t, r, "clawft:registryPassword", "username", "bot", "push-canary")
		}
		if err := r.Run(Deploy); err != nil {
			t.Fatal(err)
		}
		writers := 0
		for _, registered := range r.Resources() {
			local := registered.Type == "command:local:Command" || strings.HasPrefix(registered.Type, "docker-build:")
			if !local {
				continue
			}
			writers++
			inputs := fmt.Sprint(registered.Inputs)
			if strings.Contains(inputs, "pull-canary") {
				t.Errorf("%s has the hosts' login", registered.Name)
			}
			if configured && !strings.Contains(inputs, "push-canary") {
				t.Errorf("%s lacks the login", registered.Name)
			}
		}
		if writers < 6 {
			t.Errorf("only %d resources use the registry", writers)
		}
	}
}
