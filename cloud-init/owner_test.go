package cloudinit

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	us   = "0123456789abcdef"
	them = "fedcba9876543210"
)

// owned makes a release that runs, of an owner.
func (h testHost) owned(name, owner, gateway, stack string) {
	h.t.Helper()
	h.release(name, "IMAGE=ghcr.io/clawft/clawft@sha256:00\nVERSION=0.6.19\nPORT=8080\nMEMORY=256m\nPIDS=99\n")
	if owner != "" {
		h.write("/opt/clawft/releases/"+name+"/owner", fmt.Sprintf("OWNER=%s\nGATEWAY=%s\nSTACK=%s\n", owner, gateway, stack), 0o600)
	}
}

func TestWhoseAHostIs(t *testing.T) {
	const (
		theirs     = "this machine runs gateway gw-2 of stack acme/clawft/lab (owner " + them + "), and is not for gateway gw-1 of stack acme/clawft/prod (owner " + us + ")"
		takeTheirs = "\nto take the machine over, with the gateway's data, say so in clawft:hosts, at gw-1:\n  takeOver: " + them + "/gw-2"
	)
	for _, c := range []struct {
		name    string
		install func(h testHost)
		takes   string
		want    string // "" lets pass
	}{
		{"nobody's", func(testHost) {}, "", ""},
		{"ours", func(h testHost) { h.owned("a", us, "gw-1", "acme/clawft/prod"); h.link("current", "a") }, "", ""},
		{"ours, by the stack's old name", func(h testHost) { h.owned("a", us, "gw-1", "acme/clawft/staging"); h.link("current", "a") }, "", ""},
		{"another's", func(h testHost) { h.owned("a", them, "gw-2", "acme/clawft/lab"); h.link("current", "a") }, "", theirs + takeTheirs},
		{"another's of the same name", func(h testHost) { h.owned("a", them, "gw-1", "acme/clawft/prod"); h.link("current", "a") }, "",
			"this machine runs gateway gw-1 of stack acme/clawft/prod (owner " + them + "), and is not for gateway gw-1 of stack acme/clawft/prod (owner " + us + ")" +
				"\nto take the machine over, with the gateway's data, say so in clawft:hosts, at gw-1:\n  takeOver: " + them + "/gw-1"},
		{"taken over", func(h testHost) { h.owned("a", them, "gw-2", "acme/clawft/lab"); h.link("current", "a") }, them + "/gw-2", ""},
		{"taken over from somebody else", func(h testHost) { h.owned("a", them, "gw-2", "acme/clawft/lab"); h.link("current", "a") }, them + "/gw-1", theirs + takeTheirs},
		{"another gateway of ours", func(h testHost) { h.owned("a", us, "gw-2", "acme/clawft/prod"); h.link("current", "a") }, "",
			"this machine runs gateway gw-2 of stack acme/clawft/prod (owner " + us + "), and is not for gateway gw-1 of stack acme/clawft/prod (owner " + us + ")" +
				"\nif gw-1 is the new name of gw-2, say so in clawft:hosts, at gw-1:\n  was: gw-2" +
				"\nto take the machine over, with the gateway's data, say so in clawft:hosts, at gw-1:\n  takeOver: " + us + "/gw-2"},
		{"another gateway of ours, renamed", func(h testHost) { h.owned("a", us, "gw-2", "acme/clawft/prod"); h.link("current", "a") }, us + "/gw-2", ""},
		{"of no record", func(h testHost) { h.owned("a", "", "", ""); h.link("current", "a") }, "",
			"this machine runs gateway unknown of stack unknown (owner unknown), and is not for gateway gw-1 of stack acme/clawft/prod (owner " + us + ")" +
				"\nto take the machine over, with the gateway's data, say so in clawft:hosts, at gw-1:\n  takeOver: unknown/unknown"},
		{"ours until we are verified there", func(h testHost) {
			h.owned("a", them, "gw-2", "acme/clawft/lab")
			h.owned("b", us, "gw-1", "acme/clawft/prod")
			h.link("current", "b")
			h.write("/opt/clawft/pending", "a\n", 0o600)
		}, "", theirs + takeTheirs},
		{"nobody's until they are verified there", func(h testHost) {
			h.owned("b", them, "gw-2", "acme/clawft/lab")
			h.link("current", "b")
			h.write("/opt/clawft/pending", "\n", 0o600)
		}, "", ""},
		{"left behind", func(h testHost) { h.owned("a", them, "gw-2", "acme/clawft/lab") }, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := newTestHost(t)
			c.install(host)
			got := host.succeeds("bash", "-c", "set -euo pipefail; . "+host.path(libDirectory)+"common.sh; "+
				"check_owner "+us+" gw-1 acme/clawft/prod "+c.takes+` || echo "$REFUSED"`)
			if strings.TrimSuffix(got, "\n") != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			// What is printed is what is to be given.
			if take := regexp.MustCompile(`takeOver: (\S+)`).FindStringSubmatch(got); take != nil && !TakePattern.MatchString(take[1]) {
				t.Errorf("%s would be refused", take[1])
			}
		})
	}
}

// dockerOf is a Docker client that knows two containers by their names, and notes what is done to them.
func (h testHost) dockerOf(label string) {
	h.t.Helper()
	h.command("docker", `case "$*" in
"container inspect -f"*" clawft") echo "c1c1c1 somebody/image:1 `+label+`" ;;
"container inspect -f"*" clawft-preflight") echo "c2c2c2 somebody/image:1 `+label+`" ;;
*inspect*) exit 1 ;;
version*) echo 20.10 ;;
*) echo "docker $*" >>`+h.path("/did")+` ;;
esac`)
	h.command("systemctl", `case "$*" in
is-active*|is-enabled*) exit 0 ;;
is-system-running*) echo running ;;
show*) ;;
*) echo "systemctl $*" >>`+h.path("/did")+` ;;
esac`)
	h.command("curl", "exit 7")
	h.command("journalctl", "exit 0")
}

func (h testHost) did() string {
	h.t.Helper()
	content, err := os.ReadFile(h.path("/did"))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	return string(content)
}

// Whatever runs on a host in whatever order: what is not ours is neither stopped nor removed. The
// scripts are all there are, so that a new one is tried as well.
func TestNothingForeignIsStopped(t *testing.T) {
	arguments := map[string][]string{"remove": {us, "gw-1"}, "settle": {"ID"}, "deploy-worker": {"ID"}}
	release := testRelease()
	release.Owner.ID, release.Signature = us, nil
	request, err := release.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []struct{ name, label string }{
		{"no label", ""}, {"another owner's label", them}, {"a label that holds ours", us + "0"},
	} {
		for _, script := range hostFiles() {
			if !strings.HasPrefix(script.content, "#!/bin/bash") {
				continue
			}
			t.Run(foreign.name+"/"+script.name, func(t *testing.T) {
				host := newTestHost(t)
				host.asRoot()
				host.owned("a", us, "gw-1", "acme/clawft/prod")
				host.link("current", "a")
				host.dockerOf(foreign.label)
				host.write("/opt/clawft/data/state", "precious", 0o600)
				host.write("/run/clawft/deploy/ID/request.json", request, 0o600)
				out, _ := host.runs(host.path(libDirectory+script.name), arguments[script.name]...)
				for line := range strings.SplitSeq(host.did(), "\n") {
					if regexp.MustCompile(`^docker (container )?(rm|stop|kill|restart|pause|rename|update|exec)\b`).MatchString(line) {
						t.Errorf("%s\n%s", line, out)
					}
				}
				if got := run(t, "", "cat", host.path("/opt/clawft/data/state")); got != "precious" {
					t.Errorf("the data hold %q", got)
				}
				if script.name == "deploy-worker" {
					want := "the container clawft is not ours (image somebody/image:1, label clawft.owner: "
					if !strings.Contains(out, want) || strings.Contains(host.did(), "docker") || strings.Contains(host.did(), "systemctl") {
						t.Errorf("want %q and nothing done, got\n%s\n%s", want, out, host.did())
					}
				}
			})
		}
	}
}

// The same, with ours: what does nothing could not be told from what spares others.
func TestWhatIsOursIsStopped(t *testing.T) {
	for _, c := range []struct {
		script string
		args   []string
		want   []string
	}{
		{"stop", nil, []string{"docker stop c1c1c1"}},
		{"prestart", nil, []string{"docker stop c1c1c1", "docker rm -f c1c1c1"}},
		{"remove", []string{us, "gw-1"}, []string{"docker rm -f c1c1c1", "docker rm -f c2c2c2"}},
		{"settle", []string{"ID"}, []string{"docker rm -f c2c2c2"}},
	} {
		t.Run(c.script, func(t *testing.T) {
			host := newTestHost(t)
			host.asRoot()
			host.owned("a", us, "gw-1", "acme/clawft/prod")
			host.link("current", "a")
			host.dockerOf(us)
			host.succeeds(host.path(libDirectory+c.script), c.args...)
			for _, want := range c.want {
				if !slices.Contains(strings.Split(host.did(), "\n"), want) {
					t.Errorf("it lacks %q:\n%s", want, host.did())
				}
			}
		})
	}
}

// A release that takes over one without a record meets its container when it starts.
func TestWhoseAContainerIs(t *testing.T) {
	for _, c := range []struct {
		name           string
		before, staged string // the owners of the release that runs and of the new one; "" has no record
		owners, label  string
		ours           bool
	}{
		{"ours", us, us, "", us, true},
		{"of whom we take over from", them, us, "", them, true},
		{"of whom we may take over from", us, "", them, them, true},
		{"another's", us, us, "", them, false},
		{"nobody's", us, us, us, "", false},
		{"of a lost record", "", us, "", them, true},
		{"nobody's, with a lost record", "", us, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := newTestHost(t)
			host.owned("a", c.before, "gw-1", "acme/clawft/prod")
			if c.staged != "" {
				host.owned("b", c.staged, "gw-1", "acme/clawft/prod")
			}
			host.dockerOf(c.label)
			got := host.succeeds("bash", "-c", "set -euo pipefail; . "+host.path(libDirectory)+"common.sh; OWNERS="+c.owners+
				`; own_container clawft && echo "ours: $CONTAINER" || echo "$FOREIGN"`)
			if strings.HasPrefix(got, "ours: c1c1c1") != c.ours {
				t.Errorf("got %s, want it ours: %t", got, c.ours)
			}
		})
	}
}

// A container is named once, when it is looked for; from then on it has an ID, which no other has.
func TestContainersAreStoppedByID(t *testing.T) {
	found := 0
	for _, f := range hostFiles() {
		for line := range strings.SplitSeq(f.content, "\n") {
			if !regexp.MustCompile(`\b(engine|docker) (container )?(rm|stop|kill|restart|pause|rename|update)\b`).MatchString(line) || strings.HasPrefix(strings.TrimSpace(line), "#") || strings.Contains(line, "FOREIGN=") {
				continue
			}
			found++
			if !strings.Contains(line, `"$CONTAINER"`) {
				t.Errorf("%s: %s", f.name, strings.TrimSpace(line))
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d lines stop or remove a container", found)
	}
}

func TestRemoveSparesOthers(t *testing.T) {
	for _, c := range []struct {
		name, owner, gateway string
		args                 []string
		want                 string
		gone                 bool
	}{
		{"ours", us, "gw-1", []string{us, "gw-1"}, "removed the gateway; its data is kept in", true},
		{"another's", them, "gw-1", []string{us, "gw-1"}, "nothing was removed: this machine runs gateway gw-1 of stack acme/clawft/prod (owner " + them + "), and not gateway gw-1 of owner " + us, false},
		{"renamed meanwhile", us, "gw-b", []string{us, "gw-1"}, "nothing was removed: this machine runs gateway gw-b of stack", false},
		{"of no record", "", "", []string{us, "gw-1"}, "nothing was removed: this machine runs gateway unknown", false},
		{"of no record, by hand", "", "", []string{"unknown", "unknown"}, "removed the gateway", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := newTestHost(t)
			host.asRoot()
			host.owned("a", c.owner, c.gateway, "acme/clawft/prod")
			host.link("current", "a")
			host.dockerOf(us)
			host.write("/opt/clawft/data/state", "precious", 0o600)
			for _, unit := range []string{"clawft.service", "clawft-proxy.service"} {
				host.write("/etc/systemd/system/"+unit, Units()[unit], 0o644)
			}
			out := host.succeeds(host.path(libDirectory+"remove"), c.args...)
			if !strings.Contains(out, c.want) {
				t.Errorf("got %q, want %q", out, c.want)
			}
			for _, path := range []string{"/opt/clawft/current", "/opt/clawft/releases/a", "/etc/systemd/system/clawft.service", "/etc/systemd/system/clawft-proxy.service"} {
				if _, err := os.Lstat(host.path(path)); os.IsNotExist(err) != c.gone {
					t.Errorf("%s is gone: %t, want %t", path, os.IsNotExist(err), c.gone)
				}
			}
			if !c.gone && host.did() != "" {
				t.Errorf("it did\n%s", host.did())
			}
			if got := run(t, "", "cat", host.path("/opt/clawft/data/state")); got != "precious" {
				t.Errorf("the data hold %q", got)
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		host := newTestHost(t)
		host.asRoot()
		host.dockerOf("")
		if out := host.succeeds(host.path(libDirectory+"remove"), us, "gw-1"); !strings.Contains(out, "no gateway is installed here") || host.did() != "" {
			t.Errorf("it said %q and did %q", out, host.did())
		}
	})
}

// The bootstrap overwrites nothing of somebody else's, wherever it writes.
func TestBootstrapFindsWhatIsForeign(t *testing.T) {
	check := func(host testHost) string {
		script := "set -euo pipefail; LIB=" + host.path("/usr/local/lib/clawft") + " ROOT=" + host.path("/opt/clawft") + " UNITS=" + host.path("/etc/systemd/system") +
			"\n" + host.moved(ownerScript) + "foreign_files"
		for _, f := range hostFiles() {
			script += " " + f.name
		}
		return strings.ReplaceAll(host.succeeds("bash", "-c", script+"; foreign_units"), host.root, "")
	}
	t.Run("ours", func(t *testing.T) {
		host := newTestHost(t)
		host.owned("a", us, "gw-1", "acme/clawft/prod")
		host.write("/opt/clawft/README", "Managed by clawft-infra: changes are overwritten.\n", 0o644)
		for name, unit := range Units() {
			host.write("/etc/systemd/system/"+name, unit, 0o644)
		}
		if got := check(host); got != "" {
			t.Errorf("it finds %s", got)
		}
	})
	t.Run("data that were there before", func(t *testing.T) {
		host := newTestHost(t)
		host.write("/opt/clawft/data/workspace/sessions/1.jsonl", "{}", 0o600)
		if got := check(host); got != "" {
			t.Errorf("it finds %s", got)
		}
	})
	var paths []string
	for _, f := range hostFiles() {
		paths = append(paths, libDirectory+f.name)
	}
	for name := range Units() {
		paths = append(paths, "/etc/systemd/system/"+name)
	}
	// As others deploy with.
	paths = append(paths, "/opt/clawft/docker-compose.yml", "/opt/clawft/releases/20260101000000/app", "/opt/clawft/README")
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			host := newTestHost(t)
			host.write(path, "#!/bin/sh\n# somebody's\n", 0o755)
			if got := check(host); strings.Count(got, "is not ours") != 1 || !strings.Contains(got, strings.Replace(path, "/README", "", 1)) {
				t.Errorf("it finds %q", got)
			}
		})
		t.Run(path+", a link", func(t *testing.T) {
			host := newTestHost(t)
			_ = os.Remove(host.path(path))
			host.write("/elsewhere", "Managed by clawft-infra", 0o644)
			if err := os.MkdirAll(filepath.Dir(host.path(path)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(host.path("/elsewhere"), host.path(path)); err != nil {
				t.Fatal(err)
			}
			if got := check(host); !strings.Contains(got, "is not ours") {
				t.Errorf("it finds %q", got)
			}
		})
	}
}

// asRoot lets scripts run that insist on root.
func (h testHost) asRoot() {
	h.t.Helper()
	for _, f := range hostFiles() {
		h.write(libDirectory+f.name, strings.ReplaceAll(h.moved(f.content), `[ "$EUID" = 0 ]`, "true"), 0o755)
	}
}
