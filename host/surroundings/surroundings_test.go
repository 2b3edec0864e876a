package surroundings

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/clawft/infra/host/deploy"
)

// engine answers with what it is, or not at all.
type engine struct {
	info deploy.EngineInfo
	err  error
}

func (e engine) Ping(context.Context) (deploy.EngineInfo, error) { return e.info, e.err }

var docker = engine{info: deploy.EngineInfo{Version: "20.10.24", APIVersion: "1.41"}}

// machine is one with files, and a getent that knows nobody.
func machine(t *testing.T, files map[string]string) Machine {
	t.Helper()
	m := Machine{Root: t.TempDir(), Engine: docker}
	for path, content := range files {
		path = m.path(path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	getent(t, "exit 2")
	return m
}

func getent(t *testing.T, script string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "getent"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// What is in the way is named, with who it is and what to do; what only looks like it is not.
func TestCheck(t *testing.T) {
	const right = ": the gateway needs Docker 20.10 or newer, run by root, at /run/docker.sock"
	for _, c := range []struct {
		name   string
		engine *engine
		files  map[string]string
		getent string
		want   []string
	}{
		{name: "nothing"},
		{name: "an engine out of order", engine: &engine{err: errors.New("connection refused")},
			want: []string{"no Docker engine answers at /run/docker.sock: start it (systemctl start docker), or let it listen there (hosts in /etc/docker/daemon.json): connection refused"}},
		{name: "Podman", engine: &engine{info: deploy.EngineInfo{APIVersion: "1.41", Podman: true}}, want: []string{"what answers at /run/docker.sock is Podman" + right}},
		{name: "an engine that is too old", engine: &engine{info: deploy.EngineInfo{Version: "19.03.15", APIVersion: "1.40"}},
			want: []string{"the Docker engine is version 19.03.15" + right}},
		{name: "an engine of no version", engine: &engine{info: deploy.EngineInfo{Version: "dev"}}, want: []string{"the Docker engine is version dev" + right}},
		{name: "a new engine", engine: &engine{info: deploy.EngineInfo{Version: "29.0.0", APIVersion: "1.52"}}},
		{name: "an engine of the next age", engine: &engine{info: deploy.EngineInfo{Version: "40.0.0", APIVersion: "2.0"}}},
		{name: "rootless", engine: &engine{info: deploy.EngineInfo{Version: "29.0.0", APIVersion: "1.52", Rootless: true}},
			want: []string{"the Docker engine runs without root (rootless mode)" + right}},

		{name: "our own user", files: map[string]string{
			"/etc/passwd": "root:x:0:0::/root:/bin/bash\nclawft-gateway:x:10001:10001::/nonexistent:/usr/sbin/nologin\n",
			"/etc/group":  "clawft-gateway:x:10001:\n",
		}},
		{name: "somebody's id", files: map[string]string{"/etc/passwd": "alice:x:10001:100::/home/alice:/bin/sh\n"},
			want: []string{"user id 10001, which the gateway's files have, belongs to user alice: give that user another id (usermod --uid)"}},
		{name: "somebody's group", files: map[string]string{"/etc/group": "staff:x:10001:\n"},
			want: []string{"group id 10001, which the gateway's files have, belongs to group staff: give that group another id (groupmod --gid)"}},
		{name: "somebody of a directory service", getent: `[ "$1 $2" = "passwd 10001" ]`,
			want: []string{"user id 10001, which the gateway's files have, belongs to user of a directory service (getent passwd 10001): give that user another id (usermod --uid)"}},
		{name: "a group of that number that is a member's", files: map[string]string{"/etc/passwd": "alice:x:1000:10001::/home/alice:/bin/sh\n"}},
		{name: "a range", files: map[string]string{"/etc/subuid": "dockremap:100000:65536\nbob:10000:65536\n"},
			want: []string{"id 10001, which the gateway's files have, is in the range of bob in /etc/subuid: give bob another range"}},
		{name: "a range of groups", files: map[string]string{"/etc/subgid": "bob:10001:1\n"},
			want: []string{"id 10001, which the gateway's files have, is in the range of bob in /etc/subgid: give bob another range"}},
		{name: "ranges beside it", files: map[string]string{"/etc/subuid": "# none\nbob:1:10000\ncarol:10002:5\nwrong:10000:many\n"}},

		{name: "a file where the socket has to be", files: map[string]string{"/run/clawft/gw-1/api.sock": ""},
			want: []string{"/run/clawft/gw-1/api.sock, which the gateway needs, is not a socket: move it away"}},
		{name: "all at once", engine: &engine{info: deploy.EngineInfo{Podman: true}}, files: map[string]string{"/etc/group": "staff:x:10001:\n", "/run/clawft/gw-1/api.sock": ""},
			want: []string{
				"group id 10001, which the gateway's files have, belongs to group staff: give that group another id (groupmod --gid)",
				"what answers at /run/docker.sock is Podman" + right,
				"/run/clawft/gw-1/api.sock, which the gateway needs, is not a socket: move it away",
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine(t, c.files)
			if c.engine != nil {
				m.Engine = *c.engine
			}
			if c.getent != "" {
				getent(t, c.getent)
			}
			m.Sockets = []string{"/run/clawft/gw-1/api.sock"}
			if got := m.Check(t.Context(), m.path("/data")); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// The kernel knows who listens, and we know whether that is ours.
func TestSockets(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "api.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	m := Machine{Root: "/", Sockets: []string{path}}
	want := fmt.Sprintf("the socket %s, which the gateway needs, is taken by surroundings.te, pid %d", path, os.Getpid())
	if got := m.sockets(); len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("got %q, want %s…", got, want)
	}
	own := unit(fmt.Sprintf("/proc/%d", os.Getpid()))
	ours[own] = true
	defer delete(ours, own)
	if got := m.sockets(); len(got) != 0 {
		t.Errorf("our own unit's socket is found: %q", got)
	}
	delete(ours, own)
	// Left behind by somebody who has ended.
	file, err := listener.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	file.Close()
	listener.Close()
	if got := m.sockets(); len(got) != 0 {
		t.Errorf("a socket of nobody is found: %q", got)
	}
}

func TestData(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can become the gateway's user; run the tests as root")
	}
	const theirs = ", so that the gateway's user 10001 cannot use it: chown -R 10001:10001 DATA"
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, data string)
		want    string
	}{
		{"not there yet", func(t *testing.T, data string) { remove(t, data) }, ""},
		{"a link that leads nowhere", func(t *testing.T, data string) {
			remove(t, data)
			must(t, os.Symlink("/mnt/missing", data))
		}, "DATA leads to /mnt/missing, which is not there: mount what holds the data, or remove the link"},
		{"a file", func(t *testing.T, data string) {
			remove(t, data)
			must(t, os.WriteFile(data, nil, 0o600))
		}, "DATA is not a directory: move it away"},
		{"empty, of anybody", func(t *testing.T, data string) { must(t, os.Mkdir(filepath.Join(data, "lost+found"), 0o700)) }, ""},
		{"the gateway's", func(t *testing.T, data string) {
			file(t, data, "cron.jsonl", ID, 0o600)
			must(t, os.Chown(data, ID, ID))
		}, ""},
		{"a directory of root", func(t *testing.T, data string) { file(t, data, "cron.jsonl", ID, 0o600) }, "DATA belongs to 0:0, mode 755" + theirs},
		{"a file of root", func(t *testing.T, data string) {
			must(t, os.Chown(data, ID, ID))
			file(t, data, "cron.jsonl", 0, 0o600)
		}, "DATA/cron.jsonl belongs to 0:0, mode 600" + theirs},
		{"a file that all may read", func(t *testing.T, data string) {
			must(t, os.Chown(data, ID, ID))
			file(t, data, "cron.jsonl", 0, 0o644)
		}, ""},
		{"a directory in which nobody writes", func(t *testing.T, data string) {
			must(t, os.Chown(data, ID, ID))
			must(t, os.MkdirAll(filepath.Join(data, "workspace", "sessions"), 0o755))
			must(t, os.Chown(filepath.Join(data, "workspace"), ID, ID))
		}, "DATA/workspace/sessions belongs to 0:0, mode 755" + theirs},
		{"of root's group", func(t *testing.T, data string) {
			must(t, os.Chown(data, ID, ID))
			file(t, data, "cron.jsonl", 1000, 0o640)
		}, "DATA/cron.jsonl belongs to 1000:0, mode 640" + theirs},
		{"a socket and a link", func(t *testing.T, data string) {
			must(t, os.Chown(data, ID, ID))
			must(t, os.Symlink("/etc/shadow", filepath.Join(data, "link")))
			must(t, unix.Mkfifo(filepath.Join(data, "pipe"), 0o600))
		}, ""},
		{"what fsck found", func(t *testing.T, data string) {
			must(t, os.Chown(data, ID, ID))
			must(t, os.Mkdir(filepath.Join(data, "lost+found"), 0o700))
			file(t, data, "cron.jsonl", ID, 0o600)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			// What is above the data is closed to the gateway's user.
			data := filepath.Join(t.TempDir(), "data")
			must(t, os.Chmod(filepath.Dir(data), 0o700))
			must(t, os.Mkdir(data, 0o755))
			c.prepare(t, data)
			got := dataProblems(t.Context(), data)
			if strings.Join(got, "\n") != strings.ReplaceAll(c.want, "DATA", data) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	// Nobody became somebody else for good.
	if got := filepath.Join(t.TempDir(), "x"); os.WriteFile(got, nil, 0o600) != nil {
		t.Error("this process lost its privileges")
	}
}

func TestRoom(t *testing.T) {
	plenty := unix.Statfs_t{Bsize: 4096, Bavail: 1 << 20, Files: 1 << 20, Ffree: 1 << 19}
	for _, c := range []struct {
		name   string
		change func(*unix.Statfs_t)
		want   string
	}{
		{"plenty", func(*unix.Statfs_t) {}, ""},
		{"full", func(s *unix.Statfs_t) { s.Bavail = 5 << 8 }, "the file system of /data has 5 MiB left: free some, 64 MiB at least"},
		{"no more files", func(s *unix.Statfs_t) { s.Ffree = 99 }, "the file system of /data has room for 99 files: remove some"},
		{"files that are not counted", func(s *unix.Statfs_t) { s.Files, s.Ffree = 0, 0 }, ""},
		{"read-only", func(s *unix.Statfs_t) { s.Flags = unix.ST_RDONLY; s.Bavail = 0 }, "/data is on a file system that is read-only: mount it writable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			system := plenty
			c.change(&system)
			if got := strings.Join(room("/data", system), "\n"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	must(t, os.RemoveAll(path))
}

func file(t *testing.T, directory, name string, uid int, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(directory, name)
	must(t, os.WriteFile(path, nil, mode))
	must(t, os.Chmod(path, mode))
	must(t, os.Chown(path, uid, 0))
}
