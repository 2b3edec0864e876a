package prepare

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/document"
	"github.com/clawft/infra/host/policy"
	"github.com/clawft/infra/host/release"
	"github.com/clawft/infra/internal/testkey"
)

const (
	us   = "0123456789abcdef"
	them = "fedcba9876543210"
)

// machine is a host to make ready, and what was done to it.
type machine struct {
	*Host
	t      *testing.T
	said   []string
	fronts int
	// engine is what the engine answers with; an error where it does not.
	engine    error
	units     []Unit
	gateways  []Gateway
	unusable  []string
	reloads   int
	unchanged bool
}

func (m *machine) Ping(context.Context) (deploy.EngineInfo, error) {
	return deploy.EngineInfo{Version: "20.10.24", APIVersion: "1.41"}, m.engine
}

const debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"

// newMachine is a fresh Debian with an engine, as root.
func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("only root makes a machine ready; run the tests as root")
	}
	m := &machine{t: t}
	m.Host = &Host{
		Root: t.TempDir(), Pause: time.Millisecond, Engine: m,
		Say:          func(line string) { m.said = append(m.said, line) },
		List:         func(context.Context, []string) ([]Unit, error) { return m.units, nil },
		Reload:       func(context.Context) error { m.reloads++; return nil },
		Surroundings: func(context.Context, string) []string { return m.unusable },
		Gateways:     func() ([]Gateway, error) { return m.gateways, nil },
		Units: []File{
			{Path: "/etc/systemd/system/clawft@.service", Mode: 0o644, Content: []byte("# " + Mark + ": changes are overwritten.\n[Unit]\n"), Marked: true},
			{Path: "/etc/systemd/system/clawft-proxy.service", Mode: 0o644, Content: []byte("# " + Mark + ": changes are overwritten.\n[Service]\n"), Marked: true},
		},
		Front: func(context.Context) (string, error) {
			m.fronts++
			if m.fronts > 1 {
				return "", nil
			}
			return "proxy started", nil
		},
		Filter: func(context.Context) (bool, error) {
			defer func() { m.unchanged = true }()
			return !m.unchanged, nil
		},
	}
	for _, directory := range []string{
		"/run/systemd/system", "/usr/local/bin", "/etc/systemd/system", "/var/lib/dpkg", "/var/lib/apt/lists", "/var/cache/apt/archives", "/usr/lib/systemd/system",
		"/usr/local/lib/systemd/system",
	} {
		m.mkdir(directory)
	}
	m.write("/etc/os-release", debian)
	m.write("/etc/ssl/certs/ca-certificates.crt", "")
	m.write("/var/lib/dpkg/status", "")
	m.deliver("1111111111111111")
	m.asks("")
	return m
}

// asks has a getent that knows who is made, or is given.
func (m *machine) asks(known string) {
	m.t.Helper()
	made := filepath.Join(m.Root, "made")
	programs(m.t, map[string]string{
		"getent":   `case "` + known + `" in *" $1 $2 "*) exit 0 ;; esac; grep -qs " $1 $2 " ` + made + ` || exit 2`,
		"groupadd": `case "$*" in *--gid*) echo " group 10001 " >>` + made + ` ;; *) echo " group clawft " >>` + made + ` ;; esac`,
		"useradd":  `case "$*" in *--uid*) echo " passwd 10001 " >>` + made + ` ;; *) echo " passwd clawft-proxy " >>` + made + ` ;; esac`,
	})
}

// deliver puts a program where one arrives.
func (m *machine) deliver(source string) {
	m.t.Helper()
	m.Program = library + "/" + source + "/clawft-host"
	m.write(m.Program, "program "+source)
}

func (m *machine) mkdir(path string) {
	m.t.Helper()
	if err := os.MkdirAll(m.path(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) write(path, content string) {
	m.t.Helper()
	m.mkdir(filepath.Dir(path))
	if err := os.WriteFile(m.path(path), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(path string) string {
	m.t.Helper()
	content, err := os.ReadFile(m.path(path))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(content)
}

// tree lists what is on the machine, with content.
func (m *machine) tree() string {
	m.t.Helper()
	var all []string
	err := filepath.WalkDir(m.Root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(path, m.path("/run/clawft")) {
			return err
		}
		content, _ := os.ReadFile(path)
		target, _ := os.Readlink(path)
		all = append(all, strings.TrimPrefix(path, m.Root)+" "+entry.Type().String()+" "+target+" "+string(content))
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func wanted() document.Machine {
	return document.Machine{Owner: release.Owner{ID: us, Gateway: "gw-1", Stack: "acme/clawft/prod"}}
}

func (m *machine) prepare(d document.Machine) (Facts, error) {
	m.changes = nil
	return m.Prepare(m.t.Context(), d)
}

func (m *machine) must(d document.Machine) Facts {
	m.t.Helper()
	facts, err := m.prepare(d)
	if err != nil {
		m.t.Fatal(err)
	}
	return facts
}

func TestPrepare(t *testing.T) {
	m := newMachine(t)
	key, _ := testkey.New(t)
	wants := wanted()
	wants.Policy.Signers = []string{key.Public().String()}
	facts := m.must(wants)
	want := "ready (debian-12, Docker 20.10.24, cloud-init none): changed group clawft-gateway, user clawft-gateway, group clawft, user clawft-proxy, " +
		"/etc/clawft, /var/lib/clawft, /etc/clawft/policy.json, /usr/local/bin/clawft-host, " +
		"/etc/systemd/system/clawft@.service, /etc/systemd/system/clawft-proxy.service, packet filter, proxy started"
	if got := facts.Text(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if target, err := os.Readlink(m.path(command)); err != nil || target != m.Program {
		t.Errorf("%s leads to %s, %v", command, target, err)
	}
	if installed, err := policy.File(m.path(policy.Path)).Read(); err != nil || !slices.Equal(installed.Signers, wants.Policy.Signers) {
		t.Errorf("the policy is %v, %v", installed, err)
	}

	t.Run("once more", func(t *testing.T) {
		before := m.tree()
		if got := m.must(wants).Text(); got != "ready (debian-12, Docker 20.10.24, cloud-init none): nothing to change" {
			t.Errorf("got %s", got)
		}
		if after := m.tree(); after != before {
			t.Errorf("something was changed:\n%s\nbefore:\n%s", after, before)
		}
		if m.fronts != 2 {
			t.Error("the proxy was not looked at")
		}
	})
	t.Run("another policy", func(t *testing.T) {
		if got := m.must(wanted()).Changed; !slices.Equal(got, []string{"/etc/clawft/policy.json"}) {
			t.Errorf("changed %q", got)
		}
	})
	t.Run("a unit that somebody edited", func(t *testing.T) {
		unit := m.Units[0]
		m.write(unit.Path, string(unit.Content)+"ExecStart=/bin/false\n")
		reloads := m.reloads
		if got := m.must(wanted()).Changed; !slices.Equal(got, []string{unit.Path}) {
			t.Errorf("changed %q", got)
		}
		if m.read(unit.Path) != string(unit.Content) || m.reloads == reloads {
			t.Error("it is not as it should be, or systemd does not know")
		}
	})
	t.Run("a new program", func(t *testing.T) {
		m.deliver("2222222222222222")
		if got := m.must(wanted()).Changed; !slices.Equal(got, []string{command}) {
			t.Errorf("changed %q", got)
		}
		m.deliver("3333333333333333")
		m.must(wanted())
		if left, _ := filepath.Glob(m.path(library + "/*")); len(left) != 2 || filepath.Base(left[0]) != "2222222222222222" {
			t.Errorf("it keeps %v; want the last two", left)
		}
	})
}

// Cut short at any point, the next run finishes: systemd and the proxy are asked, not remembered.
func TestPrepareGoesOn(t *testing.T) {
	m := newMachine(t)
	failure := errors.New("cut short")
	m.Host.Reload = func(context.Context) error { m.reloads++; return failure }
	if _, err := m.prepare(wanted()); !errors.Is(err, failure) {
		t.Fatalf("got %v", err)
	}
	m.Host.Reload = func(context.Context) error { m.reloads++; return nil }
	m.must(wanted())
	if m.reloads != 2 {
		t.Error("systemd does not know the units that an earlier run has put into place")
	}
}

func TestWhoseAMachineIs(t *testing.T) {
	const (
		theirs     = "this machine runs gateway gw-2 of stack acme/clawft/lab (owner " + them + "), and is not for gateway gw-1 of stack acme/clawft/prod (owner " + us + ")"
		takeTheirs = "\nto take the machine over, with the gateway's data, say so in clawft:hosts, at gw-1:\n  takeOver: " + them + "/gw-2"
		ours       = "this machine runs gateway gw-2 of stack acme/clawft/prod (owner " + us + "), and is not for gateway gw-1 of stack acme/clawft/prod (owner " + us + ")" +
			"\nif gw-1 is the new name of gw-2, say so in clawft:hosts, at gw-1:\n  was: gw-2" +
			"\nto take the machine over, with the gateway's data, say so in clawft:hosts, at gw-1:\n  takeOver: " + us + "/gw-2"
	)
	has := func(id, gateway, stack string) release.Owner {
		return release.Owner{ID: id, Gateway: gateway, Stack: stack}
	}
	for _, c := range []struct {
		name  string
		has   []release.Owner
		takes []string
		want  string
	}{
		{"nobody's", nil, nil, ""},
		{"ours", []release.Owner{has(us, "gw-1", "acme/clawft/prod")}, nil, ""},
		{"ours, by the stack's old name", []release.Owner{has(us, "gw-1", "acme/clawft/staging")}, nil, ""},
		{"another's", []release.Owner{has(them, "gw-2", "acme/clawft/lab")}, nil, theirs + takeTheirs},
		{"another's of the same name", []release.Owner{has(them, "gw-1", "acme/clawft/prod")}, nil,
			"this machine runs gateway gw-1 of stack acme/clawft/prod (owner " + them + "), and is not for gateway gw-1 of stack acme/clawft/prod (owner " + us + ")" +
				"\nto take the machine over, with the gateway's data, say so in clawft:hosts, at gw-1:\n  takeOver: " + them + "/gw-1"},
		{"taken over", []release.Owner{has(them, "gw-2", "acme/clawft/lab")}, []string{them + "/gw-2"}, ""},
		{"taken over from somebody else", []release.Owner{has(them, "gw-2", "acme/clawft/lab")}, []string{them + "/gw-1"}, theirs + takeTheirs},
		{"another gateway of ours", []release.Owner{has(us, "gw-2", "acme/clawft/prod")}, nil, ours},
		{"another gateway of ours, renamed", []release.Owner{has(us, "gw-2", "acme/clawft/prod")}, []string{us + "/gw-2"}, ""},
		{"ours and another's", []release.Owner{has(us, "gw-1", "acme/clawft/prod"), has(them, "gw-2", "acme/clawft/lab")}, nil, theirs + takeTheirs},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			for _, owner := range c.has {
				m.gateways = append(m.gateways, Gateway{Owner: owner, Data: "/data"})
			}
			d := wanted()
			d.Owner.Takes = c.takes
			before := m.tree()
			_, err := m.prepare(d)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
			if after := m.tree(); after != before || m.fronts > 0 {
				t.Errorf("somebody else's machine was changed:\n%s", after)
			}
			// What is printed is what is to be given.
			if take := regexp.MustCompile(`takeOver: (\S+)`).FindStringSubmatch(c.want); take != nil && !release.TakePattern.MatchString(take[1]) {
				t.Errorf("%s would be refused", take[1])
			}
		})
	}
}

// Whatever it puts there is not put over somebody else's, wherever that is.
func TestNothingForeignIsOverwritten(t *testing.T) {
	fresh := newMachine(t)
	before := strings.Split(fresh.tree(), "\n")
	fresh.must(wanted())
	var paths []string
	for line := range strings.SplitSeq(fresh.tree(), "\n") {
		path, kind, _ := strings.Cut(line, " ")
		if !slices.Contains(before, line) && strings.HasPrefix(path, "/") && !strings.HasPrefix(kind, "d") && path != "/made" && path != policy.Path {
			paths = append(paths, path)
		}
	}
	if len(paths) < 3 {
		t.Fatalf("it puts %q there", paths)
	}
	for _, unit := range fresh.Units {
		for _, directory := range []string{"/run/systemd/system/", "/usr/local/lib/systemd/system/", "/usr/lib/systemd/system/"} {
			paths = append(paths, directory+filepath.Base(unit.Path))
		}
	}
	// As others deploy with.
	paths = append(paths, "/var/lib/clawft/docker-compose.yml", "/etc/clawft/config.json", "/usr/local/lib/clawft/deploy.sh")
	for _, path := range paths {
		for kind, put := range map[string]func(t *testing.T, m *machine){
			"a file": func(_ *testing.T, m *machine) { m.write(path, "#!/bin/sh\n# somebody's\n") },
			"a link": func(t *testing.T, m *machine) {
				m.write("/elsewhere", "# "+Mark)
				m.mkdir(filepath.Dir(path))
				if err := os.Symlink(m.path("/elsewhere"), m.path(path)); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(path+", "+kind, func(t *testing.T) {
				m := newMachine(t)
				put(t, m)
				before := m.tree()
				_, err := m.prepare(wanted())
				if err == nil || strings.Count(err.Error(), "is not ours") != 1 || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it out of the way") {
					t.Errorf("got %v", err)
				}
				if after := m.tree(); after != before {
					t.Errorf("it was changed:\n%s", after)
				}
			})
		}
	}
	t.Run("a directory of ours that is a link", func(t *testing.T) {
		m := newMachine(t)
		m.mkdir("/elsewhere")
		if err := os.Symlink(m.path("/elsewhere"), m.path(settings)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.prepare(wanted()); err == nil || !strings.Contains(err.Error(), settings+" is not ours") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("data that were there before, on a disk of their own", func(t *testing.T) {
		m := newMachine(t)
		m.mkdir("/mnt/data")
		m.mkdir("/var/lib")
		if err := os.Symlink(m.path("/mnt/data"), m.path(state)); err != nil {
			t.Fatal(err)
		}
		m.write("/mnt/data/gw-1/data/workspace/sessions/1.jsonl", "{}")
		m.mkdir("/mnt/data/lost+found")
		m.must(wanted())
		if got := m.read("/mnt/data/gw-1/data/workspace/sessions/1.jsonl"); got != "{}" {
			t.Errorf("the data hold %q", got)
		}
	})
}

func TestMachinesThatCannot(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(m *machine)
		want  string
	}{
		{"no systemd", func(m *machine) { _ = os.RemoveAll(m.path("/run/systemd")) }, "systemd does not run here"},
		{"an old Debian", func(m *machine) {
			m.write("/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 11 (bullseye)\"\nID=debian\nVERSION_ID=\"11\"\n")
		}, "Debian GNU/Linux 11 (bullseye) is not supported; Debian 12 and Ubuntu 22.04 or newer are"},
		{"an old Ubuntu", func(m *machine) {
			m.write("/etc/os-release", "PRETTY_NAME='Ubuntu 20.04'\nID=ubuntu\nVERSION_ID=\"20.04\"\n")
		}, "Ubuntu 20.04 is not supported"},
		{"another system", func(m *machine) { m.write("/etc/os-release", "PRETTY_NAME=Alpine\nID=alpine\nVERSION_ID=3.20\n") }, "Alpine is not supported"},
		{"a system without a name", func(m *machine) { _ = os.Remove(m.path("/etc/os-release")) }, "this system is not supported"},
		{"a wrong clock", func(m *machine) { m.Clock = func() time.Time { return time.Unix(0, 0) } }, "the clock says Thu, 01 Jan 1970 00:00:00 UTC: set it (timedatectl set-ntp true)"},
		{"an engine that is a snap", func(m *machine) { m.units = []Unit{{Name: snapUnit, Load: "loaded"}} }, "docker is a snap here, which sees nothing of /var/lib/clawft: remove it (snap remove docker)"},
		{"Podman in Docker's place", func(m *machine) {
			m.engine = errors.New("connection refused")
			m.write("/var/lib/dpkg/status", statusOf("podman-docker", "install ok installed"))
		}, "docker is Podman's here (package podman-docker): remove it (apt-get remove podman-docker)"},
		{"an engine that does not start", func(m *machine) {
			m.engine = errors.New("connection refused")
			m.units = []Unit{{Name: dockerUnit, Load: "loaded", Active: "failed"}}
			programs(m.t, map[string]string{"systemctl": "exit 1"})
		}, "the Docker engine does not answer, and docker.service does not start; see: journalctl -u docker: connection refused"},
		{"a user that cannot be made", func(m *machine) {
			programs(m.t, map[string]string{"useradd": "echo 'useradd: cannot lock /etc/passwd'; exit 1"})
		},
			"user clawft-gateway cannot be made: exit status 1: useradd: cannot lock /etc/passwd"},
		{"what is in the way", func(m *machine) { m.unusable = []string{"the first", "the second"} }, "this machine cannot run the gateway:\n  the first\n  the second"},
		{"a proxy that does not start", func(m *machine) {
			m.Host.Front = func(context.Context) (string, error) { return "", errors.New("no proxy") }
		}, "no proxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			c.spoil(m)
			if _, err := m.prepare(wanted()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("a newer Ubuntu", func(t *testing.T) {
		m := newMachine(t)
		m.write("/etc/os-release", "ID=ubuntu\nVERSION_ID=\"24.04\"\n")
		if got := m.must(wanted()).OS; got != "ubuntu-24.04" {
			t.Errorf("it is %s", got)
		}
	})
	t.Run("an engine that was stopped", func(t *testing.T) {
		m := newMachine(t)
		m.engine = errors.New("connection refused")
		m.units = []Unit{{Name: dockerUnit, Load: "loaded", Active: "inactive"}}
		programs(t, map[string]string{"systemctl": `[ "$*" = "start docker.service" ] && touch ` + m.path("/started")})
		m.Host.Engine = pinger(func() error {
			if _, err := os.Stat(m.path("/started")); err != nil {
				return m.engine
			}
			return nil
		})
		m.must(wanted())
	})
}

type pinger func() error

func (p pinger) Ping(context.Context) (deploy.EngineInfo, error) { return deploy.EngineInfo{}, p() }

func TestMissingPackages(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(m *machine)
		want  []string
	}{
		{"nothing", func(*machine) {}, nil},
		{"no engine", func(m *machine) { m.engine = errors.New("no"); m.units = []Unit{{Name: dockerUnit, Load: "not-found"}} }, []string{"docker.io"}},
		{"an engine that does not run", func(m *machine) { m.engine = errors.New("no"); m.units = []Unit{{Name: dockerUnit, Load: "loaded"}} }, nil},
		{"an engine that is masked", func(m *machine) { m.engine = errors.New("no"); m.units = []Unit{{Name: dockerUnit, Load: "masked"}} }, nil},
		{"an engine from elsewhere", func(m *machine) { m.units = nil }, nil},
		{"no certificates", func(m *machine) { _ = os.Remove(m.path("/etc/ssl/certs/ca-certificates.crt")) }, []string{"ca-certificates"}},
		{"AppArmor without its parser", func(m *machine) { m.write("/sys/module/apparmor/parameters/enabled", "Y\n") }, []string{"apparmor"}},
		{"AppArmor", func(m *machine) {
			m.write("/sys/module/apparmor/parameters/enabled", "Y\n")
			m.write("/sbin/apparmor_parser", "")
		}, nil},
		{"AppArmor that is off", func(m *machine) { m.write("/sys/module/apparmor/parameters/enabled", "N\n") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			c.spoil(m)
			if got := m.missing(t.Context()); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPrepareWaitsForAnother(t *testing.T) {
	m := newMachine(t)
	m.mkdir(run)
	other, err := os.Create(m.path(run + "/prepare.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	say := m.Say
	m.Host.Say = func(line string) {
		say(line)
		other.Close()
	}
	m.must(wanted())
	if len(m.said) != 1 || m.said[0] != "another run makes this machine ready: waiting for it, up to 15 minutes" {
		t.Errorf("it says %q", m.said)
	}
}

func TestDocumentIsChecked(t *testing.T) {
	m := newMachine(t)
	before := m.tree()
	for _, c := range []struct {
		change func(*document.Machine)
		want   string
	}{
		{func(d *document.Machine) { d.Owner.Gateway = "../x" }, `owner.gateway: "../x" is not a host's name`},
		{func(d *document.Machine) { d.Policy.Signers = []string{"AAAA"} }, "policy.signers: number 1"},
	} {
		d := wanted()
		c.change(&d)
		if _, err := m.prepare(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if m.tree() != before {
		t.Error("something was changed")
	}
}
