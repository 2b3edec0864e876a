package gatewayimage

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/lab/qemu"
)

// foreign is the platform that this machine cannot run.
var foreign = map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]

// emulated is the file system of a foreign image. Its programs are run by naming
// them behind QEMU, which needs no handler in the kernel.
type emulated struct{ qemu, root string }

func emulate(t *testing.T, i image) emulated {
	t.Helper()
	program, err := qemu.Ensure(t.Context(), filepath.Join(root, ".lab", "cache"), foreign, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	e := emulated{program, t.TempDir()}
	for name, header := range i.headers {
		if !needed(name) {
			continue
		}
		path := filepath.Join(e.root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		switch header.Typeflag {
		case tar.TypeReg:
			err = os.WriteFile(path, i.content[name], 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// needed are the image's programs, what they are linked to and what they read.
func needed(name string) bool {
	return name == "lib" || name == "lib64" || slices.ContainsFunc([]string{"usr/lib/", "usr/lib64/", "usr/local/", "etc/ssl/"},
		func(dir string) bool { return strings.HasPrefix(name, dir) })
}

// command runs a program of the image, with nothing of this machine's
// environment.
func (e emulated) command(ctx context.Context, env []string, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, e.qemu, append([]string{"-L", e.root, filepath.Join(e.root, "usr/local/bin", program)}, args...)...)
	command.Env = env
	return command
}

// checkEmulated runs the foreign programs as far as the native ones are run in a
// container.
func checkEmulated(t *testing.T, i image) {
	t.Helper()
	e := emulate(t, i)
	output, err := e.command(t.Context(), nil, "weft", "--version").CombinedOutput()
	if err != nil || string(output) != "weft 0.6.19\n" {
		t.Fatalf("the %s gateway says %q (%v), want weft 0.6.19", foreign, output, err)
	}

	gateway := e.start(t)
	t.Run("healthy within 30 s", func(t *testing.T) {
		health, err := gateway.health(t.Context(), 30*time.Second)
		if err != nil || health.Status != "ok" || health.Version != "0.6.19" {
			t.Fatalf("health is %+v (%v), want ok and 0.6.19; its log:\n%s", health, err, gateway.log(t))
		}
	})
	t.Run("links the image's OpenSSL and reads its authorities", func(t *testing.T) {
		if log := gateway.log(t); !strings.Contains(log, "OpenSSL 3.0") || strings.Contains(log, " 0 certificate authorities") {
			t.Errorf("the log is %q, want OpenSSL 3.0 and more than 0 authorities", log)
		}
	})
	t.Run("probe", func(t *testing.T) {
		output, err := e.command(t.Context(), []string{"PORT=" + gateway.port}, "weft-health").CombinedOutput()
		if err != nil || string(output) != "ok\n" {
			t.Errorf("the probe says %q (%v), want ok", output, err)
		}
	})
	t.Run("stops on its signal", func(t *testing.T) {
		begin := time.Now()
		if err := gateway.command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		select {
		case <-gateway.ended:
		case <-time.After(12 * time.Second):
			t.Fatalf("it still runs 12 s later; its log:\n%s", gateway.log(t))
		}
		if code := gateway.command.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d after %v, want 0; its log:\n%s", code, time.Since(begin), gateway.log(t))
		}
	})
}

// running is a foreign gateway.
type running struct {
	command *exec.Cmd
	port    string
	logFile string
	ended   chan struct{}
}

func (e emulated) start(t *testing.T) running {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(free.Addr().(*net.TCPAddr).Port)
	free.Close()

	home := t.TempDir()
	config := filepath.Join(home, "config.json")
	if err := os.WriteFile(config, []byte(`{"gateway":{"host":"127.0.0.1","apiPort":`+port+`,"apiEnabled":true}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	r := running{
		command: e.command(t.Context(), []string{"HOME=" + home}, "weft", "gateway", "--config", config),
		port:    port, logFile: filepath.Join(home, "log"), ended: make(chan struct{}),
	}
	log, err := os.Create(r.logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r.command.Stdout, r.command.Stderr = log, log
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.command.Wait() // how it ended is asked of its state
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = r.command.Process.Kill()
		<-r.ended
	})
	return r
}

func (r running) log(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(r.logFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

type health struct{ Status, Version string }

// health asks until it is answered.
func (r running) health(ctx context.Context, limit time.Duration) (health, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		answer, err := r.ask(ctx)
		if err == nil {
			return answer, nil
		}
		select {
		case <-r.ended:
			return health{}, fmt.Errorf("it ended: %v", r.command.ProcessState)
		case <-ctx.Done():
			return health{}, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (r running) ask(ctx context.Context) (health, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+r.port+"/api/health", nil)
	if err != nil {
		return health{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return health{}, err
	}
	defer response.Body.Close()
	var answer health
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}
