package prepare

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process that is told to holds a lock until its standard input ends.
func TestMain(m *testing.M) {
	if path := os.Getenv("CLAWFT_TEST_LOCK"); path != "" {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err == nil {
			err = unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})
		}
		fmt.Println(err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// holdLock has another process hold a lock, and returns what ends it.
func holdLock(t *testing.T, path string) func() {
	t.Helper()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), "CLAWFT_TEST_LOCK="+path)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() { in.Close(); _ = holder.Wait() })
	t.Cleanup(end)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "<nil>\n" {
		t.Fatalf("the lock is not held: %q, %v", line, err)
	}
	return end
}

// programs puts programs, written in sh, before the machine's own.
func programs(t *testing.T, scripts map[string]string) string {
	t.Helper()
	bin := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n:\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return bin
}

// packageHost is a root with dpkg's files.
func packageHost(t *testing.T, status string) string {
	t.Helper()
	root := t.TempDir()
	for _, path := range append([]string{"/var/lib/dpkg/status", "/usr/x", "/etc/x"}, locks...) {
		content := ""
		if strings.HasSuffix(path, "/status") {
			content = status
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func statusOf(name, status string) string {
	return "Package: " + name + "\nStatus: " + status + "\nVersion: 1\n\n"
}

// The package system is shared with others: we wait for them, within a bound, and name them.
func TestPackages(t *testing.T) {
	const (
		dead  = `case "$*" in *update*) echo 'E: The repository http://dead.example stable Release does not have a Release file.'; exit 100 ;; esac`
		needs = `case "$*" in *install*) exit 100 ;; esac`
		done  = `case "$*" in *--simulate*) ;; *install*) touch $0.installed ;; esac`
	)
	for _, c := range []struct {
		name, status string
		// needed is whether docker.io is missing at first. It is there once apt-get was told to install it.
		needed    bool
		apt, dpkg string
		patience  time.Duration
		// locked is a lock that another process has; let go tells it to end once it was waited for.
		locked string
		letGo  bool
		want   string
		says   []string
		fails  string
		ran    []string
	}{
		{name: "nothing is missing"},
		{name: "one is missing", needed: true, apt: done, want: "docker.io", ran: []string{"dpkg --configure -a", "update", "--simulate", "--no-upgrade --no-remove docker.io"}},
		{name: "one was cut short", status: statusOf("docker.io", "install ok half-configured") + statusOf("other", "install ok unpacked"),
			dpkg: `printf 'Package: docker.io\nStatus: install ok installed\n' >ROOT/var/lib/dpkg/status`, want: "docker.io", ran: []string{"dpkg --configure -a"}},
		{name: "one that stays unfinished", status: statusOf("docker.io", "install ok half-configured"), fails: "packages are unfinished: docker.io; see: dpkg --configure -a"},
		{name: "somebody else's is unfinished", status: statusOf("other", "install ok unpacked")},

		{name: "a lock that is let go", needed: true, apt: done, dpkg: `[ -e $0.again ] || { touch $0.again; echo 'dpkg: error: dpkg frontend lock was locked'; exit 2; }`,
			locked: "/var/lib/dpkg/lock-frontend", letGo: true, want: "docker.io", says: []string{"waiting for process ", "prepare.test", "up to 15 minutes in all"}},
		{name: "a lock that is not let go", needed: true, dpkg: "exit 2", locked: "/var/lib/dpkg/lock", patience: time.Nanosecond,
			fails: "dpkg --configure could not begin within 0 minutes: packages are being changed by others: process "},
		{name: "lists that somebody reads", needed: true, apt: `case "$*" in *update*) exit 100 ;; esac`, locked: "/var/lib/apt/lists/lock", patience: time.Nanosecond,
			fails: "apt-get update could not begin"},
		{name: "an archive that somebody fetches", needed: true, apt: `case "$*" in *--simulate*) ;; *install*) exit 100 ;; esac`, locked: "/var/cache/apt/archives/lock", patience: time.Nanosecond,
			fails: "apt-get install could not begin"},

		{name: "dpkg fails once", needed: true, apt: done, dpkg: `[ -e $0.again ] || { touch $0.again; echo broken; exit 1; }`, want: "docker.io", says: []string{"dpkg --configure failed, attempt 1: broken"}},
		{name: "dpkg fails always, for somebody else's", needed: true, apt: done, dpkg: "echo broken; exit 1", want: "docker.io", says: []string{"warning: dpkg --configure -a does not succeed; going on:\nbroken"}},
		{name: "what is needed is there all the same", needed: true, apt: `case "$*" in *--simulate*) ;; *install*) touch $0.installed; exit 100 ;; esac`,
			want: "docker.io", says: []string{"warning: apt-get did not succeed, but what is needed is there; going on"}},

		{name: "a dead source of which nothing is needed", needed: true, apt: dead + "\n" + done, want: "docker.io",
			says: []string{"warning: not every source of packages can be read", "http://dead.example"}},
		{name: "a dead source that is needed", needed: true, apt: dead + "\n" + needs, fails: "apt-get cannot install docker.io; sources that cannot be read are named above",
			says: []string{"packages are missing, attempt 4: E: The repository http://dead.example"}},
		{name: "a source that is dead at first", needed: true, apt: `case "$*" in *update*) [ -e $0.read ] || { touch $0.read; exit 100; } ;; *--simulate*) [ -e $0.again ] || { touch $0.again; exit 100; } ;; *install*) touch $0.installed ;; esac`,
			want: "docker.io", says: []string{"packages are missing, attempt 1"}},
		{name: "a package that no source has", needed: true, apt: `case "$*" in *install*) echo 'E: Package docker.io has no installation candidate'; exit 100 ;; esac`,
			status: statusOf("docker.io", "hold ok not-installed"), fails: "has no installation candidate\napt-get cannot install docker.io; on hold: docker.io (apt-mark unhold docker.io)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := packageHost(t, c.status)
			log := filepath.Join(root, "ran")
			bin := programs(t, map[string]string{
				"apt-get": "echo apt-get $* >>" + log + "\n" + c.apt,
				"dpkg":    "echo dpkg $* >>" + log + "\n" + strings.ReplaceAll(c.dpkg, "ROOT", root),
			})
			end := func() {}
			if c.locked != "" {
				end = holdLock(t, filepath.Join(root, c.locked))
			}
			var said []string
			p := &packages{root: root, patience: packagesPatience, pause: time.Millisecond, say: func(line string) {
				said = append(said, line)
				if c.letGo && strings.Contains(line, "waiting for") {
					end()
				}
			}}
			if c.patience > 0 {
				p.patience = c.patience
			}
			got, err := p.install(t.Context(), func() []string {
				if _, err := os.Stat(filepath.Join(bin, "apt-get.installed")); err == nil || !c.needed {
					return nil
				}
				return []string{"docker.io"}
			})
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("got the error %v, want %q", err, c.fails)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("worked on %q, want %q", got, c.want)
			}
			for _, want := range c.says {
				if !strings.Contains(strings.Join(said, "\n"), want) {
					t.Errorf("it does not say %q: %q", want, said)
				}
			}
			if c.says == nil && len(said) > 0 {
				t.Errorf("it says %q", said)
			}
			ran, _ := os.ReadFile(log)
			for _, want := range c.ran {
				_, rest, found := strings.Cut(string(ran), want)
				if !found {
					t.Fatalf("%q was not run, in this order: %s", want, ran)
				}
				ran = []byte(rest)
			}
			if c.want == "" && c.fails == "" && len(ran) > 0 {
				t.Errorf("it ran %s", ran)
			}
		})
	}
}
