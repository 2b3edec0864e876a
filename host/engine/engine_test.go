package engine

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/host/deploy"
)

func TestPing(t *testing.T) {
	const docker = `{"Components":[{"Name":"Engine","Version":"20.10.24"}],"Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}`
	for _, test := range []struct {
		name, version string
		answers       map[string]http.HandlerFunc
		want          deploy.EngineInfo
		failure       string
	}{
		{"Docker 20.10", "1.41", map[string]http.HandlerFunc{"GET /version": text(docker), "GET /info": text(`{"SecurityOptions":["name=seccomp,profile=default","name=cgroupns"]}`)},
			deploy.EngineInfo{Version: "20.10.24+dfsg1", APIVersion: "1.41", Platform: "linux/amd64"}, ""},
		{"Docker 29", "1.52", map[string]http.HandlerFunc{
			"GET /version": text(`{"Components":[{"Name":"Engine"}],"Version":"29.1.3","ApiVersion":"1.52","MinAPIVersion":"1.44","Os":"linux","Arch":"arm64"}`),
			"GET /info":    text(`{"SecurityOptions":["name=apparmor"],"FirewallBackend":{"Driver":"nftables"}}`)},
			deploy.EngineInfo{Version: "29.1.3", APIVersion: "1.52", Platform: "linux/arm64"}, ""},
		{"without root", "1.47", map[string]http.HandlerFunc{"GET /version": text(docker), "GET /info": text(`{"SecurityOptions":["name=seccomp,profile=builtin","name=rootless","name=cgroupns"]}`)},
			deploy.EngineInfo{Version: "20.10.24+dfsg1", APIVersion: "1.41", Platform: "linux/amd64", Rootless: true}, ""},
		{"Podman", "1.41", map[string]http.HandlerFunc{
			"GET /version": text(`{"Components":[{"Name":"Podman Engine","Version":"4.3.1"},{"Name":"Conmon"}],"Version":"4.3.1","ApiVersion":"1.41","Os":"linux","Arch":"amd64"}`),
			"GET /info":    text(`{"SecurityOptions":["name=rootless"]}`)},
			deploy.EngineInfo{Version: "4.3.1", APIVersion: "1.41", Platform: "linux/amd64", Podman: true, Rootless: true}, ""},
		{"too old to be asked", "1.24", nil, deploy.EngineInfo{APIVersion: "1.24"}, ""},
		{"ill", "1.41", map[string]http.HandlerFunc{"GET /version": refuse(500, "out of order")},
			deploy.EngineInfo{}, "asking the Docker engine for its version: out of order"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := newFake(t, test.version, test.answers).Ping(t.Context())
			failure := ""
			if err != nil {
				failure = err.Error()
			}
			if got != test.want || failure != test.failure {
				t.Errorf("got  %+v, %s\nwant %+v, %s", got, failure, test.want, test.failure)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	e, err := New(socket, "/launcher")
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Containers(t.Context(), "gw-1")
	if want := "listing the containers: no Docker engine answers at " + socket + ": start it (systemctl start docker)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	hangs := newFake(t, "1.41", map[string]http.HandlerFunc{"GET /containers/json": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = hangs.Containers(ctx, "gw-1")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), "listing the containers: no answer in time") {
		t.Errorf("an engine that hangs: got %v", err)
	}
}

// Old engines and new ones are asked in a version that they know.
func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"1.41": "1.41", "1.52": "1.52", "1.99": "1.57"} {
		f := newFake(t, version, map[string]http.HandlerFunc{"GET /containers/json": text("[]"), "GET /images/{image...}": refuse(404, "no such image")})
		if _, err := f.Containers(t.Context(), "gw-1"); err != nil {
			t.Error(err)
		}
		if _, err := f.Image(t.Context(), image); !errors.Is(err, deploy.ErrNotFound) {
			t.Error(err)
		}
		if len(f.versions) != 1 || !f.versions[want] {
			t.Errorf("an engine of %s is asked by %v, want %s", version, f.versions, want)
		}
	}
}
