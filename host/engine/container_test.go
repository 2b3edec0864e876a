package engine

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/release"
)

var update = flag.Bool("update", false, "write the golden files anew")

var example = deploy.Container{
	Name: "clawft-gw-1", Network: "clawft-gw-1", Gateway: "gw-1", Config: "/run/clawft/gw-1/config.json", Data: "/var/lib/clawft/gw-1/data",
	Release: release.Release{
		Owner: release.Owner{ID: "0123456789abcdef", Gateway: "gw-1", Stack: "acme/clawft/prod"}, Image: image,
		Version: "0.6.19", Port: 18789, MemoryMiB: 512, Pids: 256, Spec: 1, Env: map[string]string{"KEY": "secret"},
		Registry: &release.RegistryLogin{Address: "ghcr.io", Username: "me", Password: "secret"},
	},
}

// What was released by a version is started by it, on every host and for ever: a golden file of one never changes.
func TestSpec(t *testing.T) {
	for name, keep := range map[string]bool{"testdata/spec1.json": false, "testdata/spec1-preflight.json": true} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			f := newFake(t, "1.41", map[string]http.HandlerFunc{"POST /containers/create": func(w http.ResponseWriter, r *http.Request) {
				var body any
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				got, _ = json.MarshalIndent(prune(body), "", "  ")
				if given := r.URL.Query().Get("name"); given != example.Name {
					t.Errorf("name: got %q", given)
				}
				answer(201, map[string]string{"Id": "0123"})(w, r)
			}})
			c := example
			c.KeepLog = keep
			if id, err := f.Create(t.Context(), c); err != nil || id != "0123" {
				t.Fatalf("got %q, %v", id, err)
			}
			got = append(got, '\n')
			if strings.Contains(string(got), "secret") {
				t.Error("the engine is told a secret")
			}
			if *update {
				if err := os.WriteFile(name, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

// prune leaves out what says nothing.
func prune(value any) any {
	object, ok := value.(map[string]any)
	if !ok {
		return value
	}
	for name, field := range object {
		switch field := prune(field).(type) {
		case nil:
			delete(object, name)
		case string:
			if field == "" {
				delete(object, name)
			}
		case bool:
			if !field {
				delete(object, name)
			}
		case float64:
			if field == 0 {
				delete(object, name)
			}
		case map[string]any:
			if len(field) == 0 {
				delete(object, name)
			}
		}
	}
	return object
}

// Somebody who removes the same container is waited for.
func TestRemoveMeanwhile(t *testing.T) {
	asked := 0
	f := newFake(t, "1.41", map[string]http.HandlerFunc{"DELETE /containers/{id}": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("force") != "1" || r.URL.Query().Get("v") != "1" {
			t.Errorf("asked with %s", r.URL.RawQuery)
		}
		if asked++; asked < 3 {
			refuse(409, "removal of container 0123 is already in progress")(w, r)
			return
		}
		refuse(404, "No such container: 0123")(w, r)
	}})
	if err := f.Remove(t.Context(), "0123"); err != nil || asked != 3 {
		t.Errorf("asked %d times: got %v", asked, err)
	}
}

func TestWait(t *testing.T) {
	for _, test := range []struct {
		name    string
		wait    http.HandlerFunc
		want    deploy.Exit
		failure string
	}{
		{"it ends", text(`{"StatusCode":3}`), deploy.Exit{Code: 3}, ""},
		{"old engines say that there is no error", text(`{"StatusCode":0,"Error":null}`), deploy.Exit{}, ""},
		{"the engine fails", text(`{"StatusCode":125,"Error":{"Message":"runtime is gone"}}`), deploy.Exit{}, "waiting for container 0123: runtime is gone"},
		{"the engine goes away", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, deploy.Exit{}, "no Docker engine answers at"},
		{"the engine goes away later", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, deploy.Exit{}, "waiting for container 0123: unexpected EOF"},
		{"gone", refuse(404, "No such container: 0123"), deploy.Exit{}, "waiting for container 0123: No such container: 0123"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, "1.41", map[string]http.HandlerFunc{"POST /containers/{id}/wait": test.wait, "GET /containers/{id}/json": text(`{"Id":"0123","State":{"OOMKilled":false}}`)})
			got, err := f.Wait(t.Context(), "0123")
			failure := ""
			if err != nil {
				failure = err.Error()
			}
			if got != test.want || !strings.Contains(failure, test.failure) || (failure == "") != (test.failure == "") {
				t.Errorf("got %+v, %s", got, failure)
			}
		})
	}
	t.Run("the context ends", func(t *testing.T) {
		f := newFake(t, "1.41", map[string]http.HandlerFunc{"POST /containers/{id}/wait": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := f.Wait(ctx, "0123"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// A container that does not start leaves no connection open, and says why in the engine's words.
func TestStartFails(t *testing.T) {
	closed := make(chan struct{})
	f := newFake(t, "1.41", map[string]http.HandlerFunc{
		"POST /containers/{id}/attach": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n") //nolint:errcheck // a test
			go func() {
				defer close(closed)
				defer conn.Close()
				io.Copy(io.Discard, conn) //nolint:errcheck // until the other side has sent all
				for {
					if _, err := conn.Write([]byte{0}); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
		},
		"POST /containers/{id}/start": refuse(400, "OCI runtime create failed: no such file"),
	})
	_, err := f.Start(t.Context(), "0123", map[string]string{"KEY": "secret"}, io.Discard)
	if err == nil || err.Error() != "starting container 0123: OCI runtime create failed: no such file" {
		t.Errorf("got %v", err)
	}
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("the connection is open")
	}
	if _, err := f.Start(t.Context(), "0123", map[string]string{"KEY": "sec\x00ret"}, nil); err == nil || strings.Contains(err.Error(), "sec\x00") {
		t.Errorf("an environment that cannot be: got %v", err)
	}
}

func TestPlatformOf(t *testing.T) {
	header := func(class, data byte, machine ...byte) string {
		return "\x7fELF" + string([]byte{class, data, 1, 0}) + strings.Repeat("\x00", 8) + "\x02\x00" + string(machine)
	}
	for _, test := range []struct{ name, header, want string }{
		{"amd64", header(2, 1, 0x3e, 0), "linux/amd64"},
		{"arm64", header(2, 1, 0xb7, 0), "linux/arm64"},
		{"arm", header(1, 1, 0x28, 0), "linux/arm"},
		{"big-endian s390x", header(2, 2, 0, 0x16), "linux/s390x"},
		{"another", header(2, 1, 0x02, 0x01), "linux/loongarch"},
		{"a script", "#!/bin/sh\nexec weft\n\n", ""},
		{"a Mac's", "\xcf\xfa\xed\xfe" + strings.Repeat("\x00", 16), ""},
	} {
		if got := platformOf([]byte(test.header)[:20]); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
