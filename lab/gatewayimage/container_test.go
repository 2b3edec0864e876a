package gatewayimage

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/clawft/infra/lab/engine"
)

func docker(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output))
}

func engineArch(t *testing.T) string {
	t.Helper()
	if err := engine.Ensure(t.Context(), root, t.Logf); err != nil {
		t.Fatal(err)
	}
	return docker(t, "version", "--format", "{{.Server.Arch}}")
}

// load gives the engine an image under a name of the test's own.
func load(t *testing.T, from v1.Image) string {
	t.Helper()
	tag, err := name.NewTag(fmt.Sprintf("clawft-image-test:%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(archive, tag, from); err != nil {
		t.Fatal(err)
	}
	docker(t, "load", "--input", archive)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", tag.Name()).Run() })
	return tag.Name()
}

// checkContainer starts the image as a host does: read-only, without
// capabilities, and with nothing but a config.
func checkContainer(t *testing.T, from v1.Image) {
	ref := load(t, from)
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"gateway":{"host":"0.0.0.0","apiPort":8080,"apiEnabled":true}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	container := fmt.Sprintf("clawft-image-test-%d", os.Getpid())
	begin := time.Now()
	docker(t, "run", "--detach", "--name", container, "--publish", "127.0.0.1::8080", "--read-only",
		"--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--volume", config+":/etc/clawft/config.json:ro", ref)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", "--volumes", container).Run() })

	t.Run("healthy within 30 s", func(t *testing.T) {
		for docker(t, "inspect", "--format", "{{.State.Health.Status}}", container) != "healthy" {
			if time.Since(begin) > 30*time.Second {
				t.Fatalf("not after 30 s: %s\n%s", docker(t, "inspect", "--format", "{{json .State.Health}}", container), docker(t, "logs", container))
			}
			time.Sleep(200 * time.Millisecond)
		}
		var state struct{ Log []struct{ Output string } }
		if err := json.Unmarshal([]byte(docker(t, "inspect", "--format", "{{json .State.Health}}", container)), &state); err != nil {
			t.Fatal(err)
		}
		if last := state.Log[len(state.Log)-1].Output; last != "ok\n" {
			t.Errorf("the probe prints %q, want ok", last)
		}
	})
	t.Run("answers with its version", func(t *testing.T) {
		response, err := http.Get("http://" + docker(t, "port", container, "8080/tcp") + "/api/health")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var health struct{ Status, Version string }
		if err := json.NewDecoder(response.Body).Decode(&health); err != nil || health.Status != "ok" || health.Version != "0.6.19" {
			t.Errorf("health is %+v (%v), want ok and 0.6.19", health, err)
		}
	})
	t.Run("runs as the image's user", func(t *testing.T) {
		if got := strings.Fields(docker(t, "top", container, "-o", "pid,uid,gid")); !slices.Equal(got[4:], []string{"10001", "10001"}) {
			t.Errorf("the engine lists %q, want one process of 10001 10001", got)
		}
	})
	t.Run("links the image's OpenSSL and reads its authorities", func(t *testing.T) {
		if log := docker(t, "logs", container); !strings.Contains(log, "OpenSSL 3.0") || strings.Contains(log, " 0 certificate authorities") {
			t.Errorf("the log is %q, want OpenSSL 3.0 and more than 0 authorities", log)
		}
	})
	t.Run("stops on its signal", func(t *testing.T) {
		begin := time.Now()
		docker(t, "stop", "--time", "15", container)
		if code := docker(t, "inspect", "--format", "{{.State.ExitCode}}", container); code != "0" || time.Since(begin) > 12*time.Second {
			t.Errorf("exit code %s after %v, want 0 within 12 s", code, time.Since(begin))
		}
	})
	t.Run("probe", func(t *testing.T) { checkProbe(t, ref) })
}

// checkProbe asks what the image's probe makes of gateways in every state.
func checkProbe(t *testing.T, ref string) {
	answering := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/health" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(server.Close)
		return server.URL[strings.LastIndex(server.URL, ":")+1:]
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	port := func(l net.Listener) string { return fmt.Sprint(l.Addr().(*net.TCPAddr).Port) }

	tests := map[string]struct {
		port, want string
		code       int
	}{
		"healthy":         {answering(200, `{"status":"ok","version":"1.2.3","uptime_secs":1}`), "ok\n", 0},
		"healthy, spaced": {answering(200, "{\n  \"status\": \"ok\"\n}"), "ok\n", 0},
		"unhealthy":       {answering(200, `{"status":"unhealthy"}`), `unhealthy: HTTP/1.0 200 OK: {"status":"unhealthy"}`, 1},
		"error":           {answering(503, `{"status":"ok"}`), "unhealthy: HTTP/1.0 503", 1},
		"no answer":       {port(silent), "unhealthy: no answer within 3 s", 1},
		"nobody there":    {port(closed), "Connection refused", 1},
		"no port":         {"http", "unhealthy: port http: want a number", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			command := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--network", "host", "--env", "PORT="+test.port,
				"--entrypoint", "/usr/local/bin/weft-health", ref)
			output, _ := command.Output()
			if code := command.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(output), test.want) {
				t.Errorf("exits %d with %q, want %d with %q", code, output, test.code, test.want)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("took %v, want its own limit of 3 s", took)
			}
		})
	}
}
