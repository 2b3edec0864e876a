// Package testgit serves git repositories over HTTP to those who log in.
package testgit

import (
	"net/http"
	"net/http/cgi" //nolint:gosec // only tests serve by it, and Go has long mended httpoxy
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Server is a server that demands a login.
type Server struct {
	// URL has no path and no slash at its end.
	URL string

	mu              sync.Mutex
	username, token string
}

// Serve serves the repositories below a directory until the test ends.
func Serve(t *testing.T, dir, username, token string) *Server {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"},
	}
	s := &Server{username: username, token: token}
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if username, token, _ := r.BasicAuth(); !s.knows(username, token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(served.Close)
	s.URL = served.URL
	return s
}

// Rotate makes another token the one that is right.
func (s *Server) Rotate(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

func (s *Server) knows(username, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return username == s.username && token == s.token
}
