package registry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// station is where a registry is asked for something.
type station string

const (
	ping  station = "without a login" // GET /v2/
	token station = "for a token"
	root  station = "with the login" // GET /v2/
	write station = "for an upload"
)

// stub is a registry that takes one login, and answers at one station with a status
// that it is given.
type stub struct {
	bearer bool
	at     station
	status int
	// heard are the requests.
	heard []string
}

func (s *stub) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	s.heard = append(s.heard, request.Method+" "+request.URL.Path)
	user, password, _ := request.BasicAuth()
	known := user == login.Username && password == login.Password
	authorized := known || request.Header.Get("Authorization") == "Bearer t"
	at := write
	switch {
	case request.URL.Path == "/token":
		at = token
	case request.URL.Path == "/v2/" && request.Header.Get("Authorization") == "":
		at = ping
	case request.URL.Path == "/v2/":
		at = root
	case request.Method == http.MethodDelete:
		return
	}
	challenge := func() {
		scheme := `Basic realm="test"`
		if s.bearer {
			scheme = `Bearer realm="http://` + request.Host + `/token",service="test"`
		}
		w.Header().Set("WWW-Authenticate", scheme)
	}
	switch {
	case at == s.at:
		if s.status == http.StatusUnauthorized {
			challenge()
		}
		w.WriteHeader(s.status)
		// As careless as can be.
		fmt.Fprintf(w, `{"errors":[{"code":"X","message":"%s %s %s"}]}`, user, password, request.Header.Get("Authorization"))
	case at == token && (known || user == ""):
		fmt.Fprint(w, `{"token":"t"}`)
	case at == token, !authorized:
		challenge()
		w.WriteHeader(http.StatusUnauthorized)
	case at == write:
		w.Header().Set("Location", "/v2/clawft/clawft/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	}
}

// hasty has no test wait for a registry that is busy.
func hasty(t *testing.T) {
	t.Helper()
	before := patience
	patience.Duration = time.Millisecond
	t.Cleanup(func() { patience = before })
	t.Setenv("DOCKER_CONFIG", t.TempDir())
}

func serveStub(t *testing.T, s *stub) string {
	t.Helper()
	hasty(t)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/clawft/clawft"
}

// kinds are all errors that say which answer it was.
var kinds = []error{ErrRefused, ErrDenied, ErrNotFound, ErrNone, ErrUnreachable}

// wantKind demands that an error is of one kind and of no other; nil is none of them.
func wantKind(t *testing.T, err, want error) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, kind := range kinds {
		if got := errors.Is(err, kind); got != errors.Is(want, kind) {
			t.Errorf("%v is %v: %v", err, kind, got)
		}
	}
}

// Only a refusal of the login is read as one. The answer to who shows none says
// nothing of logins, and who is busy or out of reach refuses nobody.
func TestAnswersToALogin(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		for _, at := range []station{ping, token, root} {
			if at == token && !bearer {
				continue
			}
			for _, status := range []int{200, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504} {
				t.Run(fmt.Sprintf("%d %s, bearer %v", status, at, bearer), func(t *testing.T) {
					registry := &stub{bearer: bearer, at: at, status: status}
					repository := open(t, serveStub(t, registry), login)
					err := repository.CheckLogin(t.Context())
					for _, secret := range []string{login.Password, base64.StdEncoding.EncodeToString([]byte("clawft:right"))} {
						if err != nil && strings.Contains(err.Error(), secret) {
							t.Errorf("the error shows the login: %v", err)
						}
					}
					switch {
					case status == 200 && at == token: // with something else than a token
						wantKind(t, err, nil)
					case status == 200, status == 401 && at == ping:
						if err != nil {
							t.Error(err)
						}
					case status == 401, status == 403 && at != ping:
						wantKind(t, err, ErrRefused)
					case status == 404 && at == ping:
						wantKind(t, err, ErrNone)
					default:
						wantKind(t, err, nil)
						if !strings.Contains(err.Error(), fmt.Sprint(status)) {
							t.Errorf("%v does not say %d", err, status)
						}
					}
					if err != nil && !strings.Contains(err.Error(), repository.Server()) && !errors.Is(err, ErrRefused) {
						t.Errorf("%v does not name the registry", err)
					}
				})
			}
		}
	}
}

func TestRegistriesOutOfReach(t *testing.T) {
	closed, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	for name, test := range map[string]struct{ server, want string }{
		"no such name":              {"registry.invalid", "registry.invalid"},
		"nobody listens":            {closed.Addr().String(), "connection refused"},
		"an authority of their own": {strings.TrimPrefix(untrusted.URL, "https://"), "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			hasty(t)
			for _, login := range []*Login{login, Nobody, nil} {
				repository := open(t, test.server+"/clawft/clawft", login)
				_, tags := repository.Tags(t.Context())
				for question, err := range map[string]error{
					"login": repository.CheckLogin(t.Context()), "push": repository.MayPush(t.Context()),
					"pull": repository.Has(t.Context(), "sha256:"+strings.Repeat("1", 64)), "tags": tags,
				} {
					wantKind(t, err, ErrUnreachable)
					if !strings.Contains(err.Error(), test.want) {
						t.Errorf("%s: %v does not say %q", question, err, test.want)
					}
				}
			}
		})
	}
}

// What a login may do is another question than whether it is one.
func TestAcceptedLoginsThatMayNotPush(t *testing.T) {
	for status, want := range map[int]error{202: nil, 401: ErrDenied, 403: ErrDenied, 404: ErrNotFound} {
		for _, bearer := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, bearer %v", status, bearer), func(t *testing.T) {
				registry := &stub{bearer: bearer}
				if want != nil {
					registry.at, registry.status = write, status
				}
				repository := open(t, serveStub(t, registry), login)
				if err := repository.CheckLogin(t.Context()); err != nil {
					t.Errorf("the login is not accepted: %v", err)
				}
				for _, heard := range registry.heard {
					if !strings.HasPrefix(heard, http.MethodGet) {
						t.Errorf("the question whether a login is one began with %s", heard)
					}
				}
				err := repository.MayPush(t.Context())
				if want == nil && err != nil {
					t.Error(err)
				} else if want != nil {
					wantKind(t, err, want)
				}
			})
		}
	}
}

// A registry without logins takes everybody.
func TestOpenRegistry(t *testing.T) {
	for _, login := range []*Login{login, Nobody, nil} {
		if err := open(t, serveStub(t, &stub{at: ping, status: http.StatusOK}), login).CheckLogin(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestWhoAsks(t *testing.T) {
	for name, test := range map[string]struct {
		login        *Login
		config, want string
	}{
		"the login":           {login, `{"auths":{"ghcr.io":{"username":"docker","password":"x"}}}`, "clawft"},
		"Docker's own":        {nil, `{"auths":{"ghcr.io":{"username":"docker","password":"x"}}}`, "docker"},
		"an identity token":   {nil, `{"auths":{"ghcr.io":{"identitytoken":"x"}}}`, "<token>"},
		"nobody in Docker":    {nil, `{"auths":{"quay.io":{"username":"docker","password":"x"}}}`, ""},
		"nobody on purpose":   {Nobody, `{"auths":{"ghcr.io":{"username":"docker","password":"x"}}}`, ""},
		"nobody, and no file": {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			hasty(t)
			if test.config != "" {
				if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(test.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := open(t, "ghcr.io/clawft/clawft", test.login).User(t.Context())
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}
