package cloudinit

import (
	"strings"
	"testing"
)

// What is in the way is named, with who it is and what to do; what only looks like it is not.
func TestSurroundings(t *testing.T) {
	type object = map[string]any
	docker := object{"Version": "20.10.24", "ApiVersion": "1.41", "Components": []object{{"Name": "Engine"}}}
	const right = ": the gateway needs Docker 20.10 or newer, run by root, at %/run/docker.sock\n"
	published := func(name string, port object) []object {
		return []object{{"Names": []string{"/" + name}, "Ports": []object{port}}}
	}
	taken := func(port, by string) string {
		return "port 127.0.0.1:" + port + ", which the gateway needs, is taken by " + by + ": let it listen elsewhere, or stop it\n"
	}
	listens := func(address, port string) string {
		return `case $* in *:` + port + `*) echo 'LISTEN 0 4096 ` + address + `:` + port + ` 0.0.0.0:* users:(("holder",pid=` + "999999999" + `,fd=3))' ;; esac`
	}
	for _, c := range []struct {
		name   string
		engine *testEngine
		// what the fake getent and ss print
		getent, ss    string
		subuid, check string
		want          string
	}{
		{name: "nothing", engine: &testEngine{version: docker}},
		{name: "an engine out of order", engine: &testEngine{broken: true}, check: "engine_problems",
			want: "no Docker engine answers at %/run/docker.sock: start it (systemctl start docker), or let it listen there (hosts in /etc/docker/daemon.json)\n"},
		{name: "Podman", engine: &testEngine{version: object{"ApiVersion": "1.41", "Components": []object{{"Name": "Podman Engine"}}}}, check: "engine_problems",
			want: "what answers at %/run/docker.sock is Podman" + right},
		{name: "an engine that is too old", engine: &testEngine{version: object{"Version": "19.03.15", "ApiVersion": "1.40"}},
			want: "the Docker engine is version 19.03.15" + right},
		{name: "a new engine", engine: &testEngine{version: object{"Version": "29.0.0", "ApiVersion": "1.52"}}},
		{name: "rootless", engine: &testEngine{version: docker, info: object{"SecurityOptions": []string{"name=seccomp,profile=builtin", "name=rootless"}}},
			want: "the Docker engine runs without root (rootless mode)" + right},
		{name: "ids that the engine maps", engine: &testEngine{version: docker, info: object{"SecurityOptions": []string{"name=userns"}}}},

		{name: "a container", engine: &testEngine{version: docker, containers: published("coolify-proxy", object{"IP": "0.0.0.0", "PublicPort": 8080, "Type": "tcp"})},
			want: taken("8080", "container coolify-proxy")},
		{name: "a container on our port", engine: &testEngine{version: docker, containers: published("other", object{"IP": "127.0.0.1", "PublicPort": 18080, "Type": "tcp"})},
			want: taken("18080", "container other")},
		{name: "a container elsewhere", engine: &testEngine{version: docker, containers: published("other", object{"IP": "192.0.2.1", "PublicPort": 8080, "Type": "tcp"})}},
		{name: "a container for IPv6 alone", engine: &testEngine{version: docker, containers: published("other", object{"IP": "::", "PublicPort": 8080, "Type": "tcp"})}},
		{name: "a container with UDP", engine: &testEngine{version: docker, containers: published("other", object{"IP": "0.0.0.0", "PublicPort": 8080, "Type": "udp"})}},
		{name: "our container", engine: &testEngine{version: docker, containers: published("clawft", object{"IP": "127.0.0.1", "PublicPort": 18080, "Type": "tcp"})}, ss: listens("127.0.0.1", "18080")},

		{name: "everywhere", engine: &testEngine{version: docker}, ss: listens("0.0.0.0", "8080"), want: taken("8080", "a process, pid 999999999")},
		{name: "IPv6 that takes IPv4 as well", engine: &testEngine{version: docker}, ss: listens("*", "18081"), want: taken("18081", "a process, pid 999999999")},
		{name: "IPv6 alone", engine: &testEngine{version: docker}, ss: listens("[::]", "8080")},
		{name: "another address", engine: &testEngine{version: docker}, ss: listens("10.0.0.1", "8080")},
		{name: "all at once", engine: &testEngine{version: docker}, ss: listens("127.0.0.1", "8080") + "\n" + listens("127.0.0.1", "18081"),
			want: taken("8080", "a process, pid 999999999") + taken("18081", "a process, pid 999999999")},

		{name: "our own user", engine: &testEngine{version: docker}, getent: "echo clawft-gateway:x:10001:10001::/nonexistent:/usr/sbin/nologin"},
		{name: "somebody's id", engine: &testEngine{version: docker}, getent: `[ $1 = passwd ] && echo alice:x:10001:100::/home/alice:/bin/sh`,
			want: "user id 10001, which the gateway's files have, belongs to user alice: give that user another id (usermod --uid)\n"},
		{name: "somebody's group", engine: &testEngine{version: docker}, getent: `[ $1 = group ] && echo staff:x:10001:`,
			want: "group id 10001, which the gateway's files have, belongs to group staff: give that group another id (groupmod --gid)\n"},
		{name: "a range", engine: &testEngine{version: docker}, subuid: "dockremap:100000:65536\nbob:10000:65536\n",
			want: "id 10001, which the gateway's files have, is in the range of bob in %/etc/subuid: give bob another range\n"},
		{name: "ranges beside it", engine: &testEngine{version: docker}, subuid: "# none\nbob:1:10000\ncarol:10002:5\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := newTestHost(t)
			c.engine.t = t
			if c.engine.info == nil {
				c.engine.info = object{}
			}
			c.engine.serve(host)
			if c.getent == "" {
				c.getent = "exit 2"
			}
			host.command("getent", c.getent)
			host.command("ss", c.ss+"\n:")
			host.write("/etc/subuid", c.subuid, 0o600)
			host.write("/opt/clawft/data/cron.jsonl", "", 0o600)
			// Only root can become the gateway's user.
			host.command("setpriv", "exit 1")
			if c.check == "" {
				c.check = "surroundings"
			}
			got := host.succeeds("bash", "-c", "set -euo pipefail; . "+host.path(libDirectory)+"common.sh; . "+host.path(libDirectory)+"surroundings.sh; "+c.check)
			if want := strings.ReplaceAll(c.want, "%", host.root); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// The package system is shared with others: bootstrap waits for them, within its bound, and names them.
func TestBootstrapWorksOnPackages(t *testing.T) {
	const dead = `case "$*" in *update*) echo 'E: The repository http://dead.example stable Release does not have a Release file.'; exit 100 ;; esac`
	for _, c := range []struct {
		name, do      string
		aptGet, dpkg  string
		patience      string
		holder, fails bool
		want          []string
	}{
		{name: "nobody is in the way", do: "patiently 3 dpkg --configure -a"},
		{name: "a lock that is let go", do: "patiently 3 dpkg --configure -a", dpkg: `[ -e $0.again ] || { touch $0.again; echo 'dpkg: error: dpkg frontend lock was locked'; exit 2; }`, holder: true,
			want: []string{"waiting for process ", "(sleep 1000", "up to 15 minutes in all"}},
		{name: "a lock that is not let go", do: "patiently 3 dpkg --configure -a", dpkg: "exit 2", holder: true, patience: "1", fails: true,
			want: []string{"bootstrap failed: dpkg --configure could not begin within 0 minutes: packages are being changed by process "}},
		{name: "a dead source of which nothing is needed", do: "refresh jq", aptGet: dead,
			want: []string{"warning: not every source of packages can be read", "http://dead.example"}},
		{name: "a dead source that is needed", do: "refresh jq", aptGet: dead + "\nexit 100", fails: true,
			want: []string{"http://dead.example", "bootstrap failed: apt-get cannot install jq", "sources that cannot be read are named above"}},
		{name: "a package that no source has", do: "refresh jq", aptGet: `case "$*" in *install*) echo 'E: Package jq has no installation candidate'; exit 100 ;; esac`, fails: true,
			want: []string{"no installation candidate", "bootstrap failed: apt-get cannot install jq; on hold: jq (apt-mark unhold jq)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := newTestHost(t)
			host.command("apt-get", c.aptGet+"\n:")
			host.command("dpkg", c.dpkg+"\n:")
			host.command("apt-mark", "echo jq")
			host.write("/lock", "", 0o600)
			script := "set -euo pipefail\n" + strings.ReplaceAll(host.moved(bootstrapScript), "main \"$@\" </dev/null\n", "")
			script = strings.ReplaceAll(script, "/var/lib/dpkg/lock-frontend", host.path("/lock"))
			script = strings.ReplaceAll(script, "sleep $((attempt * 5))", ":")
			if c.patience != "" {
				script = strings.ReplaceAll(script, "PATIENCE=900", "PATIENCE="+c.patience)
			}
			if c.holder {
				script += "sleep 1000 9<" + host.path("/lock") + " & holder=$!\ntrap 'kill $holder' EXIT\n"
			}
			host.write("/script", script+c.do+"\n", 0o600)
			output, err := host.runs("bash", host.path("/script"))
			if (err != nil) != c.fails {
				t.Errorf("%s: %v\n%s", c.do, err, output)
			}
			for _, want := range c.want {
				if !strings.Contains(output, want) {
					t.Errorf("it does not say %q:\n%s", want, output)
				}
			}
			if len(c.want) == 0 && output != "" {
				t.Errorf("it says %q", output)
			}
		})
	}
}
