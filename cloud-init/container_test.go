package cloudinit

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the preflight proves holds for production only as far as both start the same container.
func TestPreflightIsProduction(t *testing.T) {
	host := newTestHost(t)
	host.release("0.6.19-a", "IMAGE=ghcr.io/clawft/clawft@sha256:00\nVERSION=0.6.19\nPORT=8081\nMEMORY=256m\nPIDS=99\n")
	host.link("current", "0.6.19-a")
	if err := os.MkdirAll(host.path("/opt/clawft/data"), 0o750); err != nil {
		t.Fatal(err)
	}
	// Docker's client prints each argument on a line.
	host.command("docker", `printf '%s\n' "$@" >&2; exit 1`)

	production := strings.Fields(host.fails(host.path(libDirectory) + "run"))
	preflight := strings.Fields(host.fails("bash", "-c", `set -eu
		. `+host.path(libDirectory)+`common.sh
		. `+host.path(libDirectory)+`container.sh
		new=0.6.19-a
		say() { :; }
		request() { echo "$1"; }
		engine_error() { cat; }
		fail() { printf '%s\n' "${1#*created: }" >&2; exit 1; }
		engine() { [ "$1" != create ] || docker "$@"; }
		`+function(t, deployWorkerScript, "preflight")+"preflight"))

	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(word string) bool { return slices.Contains(b, word) })
	}
	root := host.path("/opt/clawft")
	data := "type=bind,source=" + root + "/%,target=/home/weft/.clawft"
	wantProduction := []string{"run", "--rm", "clawft", "--publish", "127.0.0.1:18080:8081", strings.Replace(data, "%", "data", 1)}
	wantPreflight := []string{"create", "clawft-preflight", "json-file", "--log-opt", "max-size=1m", "--network", strings.Replace(data, "%", "preflight", 1)}
	if got := only(production, preflight); !slices.Equal(got, wantProduction) {
		t.Errorf("production alone has  %q\nwant                  %q", got, wantProduction)
	}
	if got := only(preflight, production); !slices.Equal(got, wantPreflight) {
		t.Errorf("the preflight alone has  %q\nwant                     %q", got, wantPreflight)
	}
	for _, want := range []string{"--userns", "10001:10001", "256m", "99", "PORT=8081"} {
		if !slices.Contains(production, want) {
			t.Errorf("production is started without %s: %q", want, production)
		}
	}
}

// testHost has the scripts of a host in a directory, which takes the place of the machine's root.
type testHost struct {
	t    *testing.T
	root string
}

func newTestHost(t *testing.T) testHost {
	t.Helper()
	need(t, "jq")
	host := testHost{t, t.TempDir()}
	for _, f := range hostFiles() {
		host.write(libDirectory+f.name, host.moved(f.content), 0o755)
	}
	return host
}

// hostDirectories are what the scripts know of a machine.
var hostDirectories = []string{"/usr/local/lib/clawft", "/opt/clawft", "/run/clawft", "/etc/systemd/system", "/run/docker.sock", "/etc/subuid", "/etc/subgid"}

// moved is a script that works below the host's root.
func (h testHost) moved(script string) string {
	for _, directory := range hostDirectories {
		script = strings.ReplaceAll(script, directory, h.path(directory))
	}
	return script
}

func (h testHost) path(path string) string { return h.root + path }

func (h testHost) write(path, content string, mode os.FileMode) {
	h.t.Helper()
	write(h.t, h.path(path), content)
	if err := os.Chmod(h.path(path), mode); err != nil {
		h.t.Fatal(err)
	}
}

// release makes a release that holds nothing but its release.env.
func (h testHost) release(name, content string) {
	h.t.Helper()
	h.write("/opt/clawft/releases/"+name+"/release.env", content, 0o600)
}

func (h testHost) link(name, release string) {
	h.t.Helper()
	if err := os.Symlink("releases/"+release, h.path("/opt/clawft/"+name)); err != nil {
		h.t.Fatal(err)
	}
}

// command puts a program, written in sh, before the machine's own.
func (h testHost) command(name, script string) {
	h.t.Helper()
	h.write("/bin/"+name, "#!/bin/sh\n"+script+"\n", 0o755)
}

// runs runs a program on the host and returns what it printed, on both outputs.
func (h testHost) runs(name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), "PATH="+filepath.Join(h.root, "bin")+":"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	return string(out), err
}

func (h testHost) succeeds(name string, args ...string) string {
	h.t.Helper()
	out, err := h.runs(name, args...)
	if err != nil {
		h.t.Fatalf("running %s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func (h testHost) fails(name string, args ...string) string {
	h.t.Helper()
	out, err := h.runs(name, args...)
	if err == nil {
		h.t.Fatalf("%s %v succeeds, want it to fail\n%s", name, args, out)
	}
	return out
}
