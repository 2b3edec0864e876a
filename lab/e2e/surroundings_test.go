package e2e

import (
	"fmt"
	"testing"
	"time"

	cloudinit "github.com/clawft/infra/cloud-init"
)

// surroundings plants on a machine what others may have there. Preparing it again
// waits, goes on, or names what is in the way and changes nothing.
func surroundings(t *testing.T) {
	const (
		taken = "bootstrap failed: this machine cannot run the gateway:\n  "
		locks = "import fcntl, time; f = open(%q, \"w\"); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(6)"
		lose  = "dpkg --force-depends --remove jq >/dev/null 2>&1; "
	)
	lock := func(file string) string {
		return lose + "systemd-run -q python3 -c '" + fmt.Sprintf(locks, file) + "'; sleep 1"
	}
	listen := func(address string) string {
		return "systemctl stop clawft-proxy; systemd-run -q --unit=other systemd-socket-activate -l " + address + " /bin/sleep 1000; sleep 1"
	}
	for _, test := range []struct{ name, plant, clear, want string }{
		{"the proxy's port", listen("0.0.0.0:8080"), "systemctl stop other",
			taken + "port 127.0.0.1:8080, which the gateway needs, is taken by systemd-socket-, pid "},
		{"the gate's port, for IPv6 and IPv4", listen("18081"), "systemctl stop other", "of other.service: let it listen elsewhere, or stop it"},
		{"a port of IPv6 alone", "systemd-run -q --unit=other busybox nc -lk -p 8080 -s ::1 -e true", "systemctl stop other", "bootstrap: changed proxy started"},
		{"somebody's user id", "userdel clawft-gateway; useradd --uid 10001 alice", "userdel alice", "user id 10001, which the gateway's files have, belongs to user alice"},
		{"a range of ids", "echo bob:5000:65536 >>/etc/subuid", "sed -i /^bob:/d /etc/subuid", "is in the range of bob in /etc/subuid"},
		{"data that the gateway cannot write", "mkdir /opt/clawft/data/restored", "rmdir /opt/clawft/data/restored",
			"/opt/clawft/data/restored belongs to root:root (0:0), mode 755, so that the gateway's user 10001 cannot use it: chown -R 10001:10001 /opt/clawft/data"},
		{"a volume's own directory", "mkdir -m 0700 /opt/clawft/data/lost+found", "rmdir /opt/clawft/data/lost+found", "bootstrap: "},
		{"dpkg's lock", lock("/var/lib/dpkg/lock-frontend"), "", "waiting for process "},
		{"the lock of apt's lists", lock("/var/lib/apt/lists/lock"), "", "waiting for process "},
		{"a dead source of packages", lose + "echo 'deb http://127.0.0.1:9/debian stable main' >/etc/apt/sources.list.d/dead.list", "rm /etc/apt/sources.list.d/dead.list",
			"warning: not every source of packages can be read; what is needed can be had all the same:"},
		{"a package on hold", lose + "apt-mark hold jq >/dev/null", "apt-mark unhold jq >/dev/null", "bootstrap failed: apt-get cannot install jq; on hold: jq (apt-mark unhold jq)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			output := tested.onHostWith(t, "gw-2", "bash -s", test.plant+"\n"+prepare+test.clear+"\n")
			wantContains(t, output, test.want)
		})
	}
	output := tested.onHostWith(t, "gw-2", "bash -s", prepare)
	wantContains(t, output, "bootstrap: ")
	tested.eventually(t, first, 30*time.Second)
}

// prepare runs the bootstrap for the owner that the host has, whatever its end.
var prepare = ". /opt/clawft/current/owner\nbash -s \"$OWNER\" \"$GATEWAY\" \"$STACK\" 2>&1 <<'THE_END_OF_IT' || true\n" +
	cloudinit.Bootstrap() + "\nTHE_END_OF_IT\n"
