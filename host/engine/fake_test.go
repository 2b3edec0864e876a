package engine

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fake is an engine that answers as it is told.
type fake struct {
	*Engine
	lock sync.Mutex
	// asked are "METHOD PATH" of all requests but pings, without the version.
	asked []string
	// versions are those that were asked by.
	versions map[string]bool
}

// newFake serves an engine of an API version. The handlers are for "METHOD PATH" as in [http.ServeMux], without the version.
func newFake(t *testing.T, version string, handlers map[string]http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{versions: map[string]bool{}}
	mux := http.NewServeMux()
	for pattern, handler := range handlers {
		mux.HandleFunc(pattern, handler)
	}
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", version)
		if strings.HasSuffix(r.URL.Path, "/_ping") {
			return
		}
		asked, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
		f.lock.Lock()
		f.versions[asked] = true
		f.asked = append(f.asked, r.Method+" /"+rest)
		f.lock.Unlock()
		r.URL.Path = "/" + rest
		mux.ServeHTTP(w, r)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	if f.Engine, err = New(socket, "/usr/local/lib/clawft/0123/clawft-host"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// answer sends a document.
func answer(status int, document any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(document) //nolint:errcheck // a test
	}
}

// refuse sends an error as the engine does.
func refuse(status int, message string) http.HandlerFunc {
	return answer(status, map[string]string{"message": message})
}

// text sends a document as it is written.
func text(document string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, document)
	}
}
