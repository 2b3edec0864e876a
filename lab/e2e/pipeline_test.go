package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/lab/site"
)

const (
	first  = "0.6.19"
	second = "0.6.20"
	broken = "0.6.21"
)

// TestPipeline is the life of a stack, in order: each part needs what the one
// before has left.
func TestPipeline(t *testing.T) {
	plant := plantSecret(t)

	inOrder(t, []step{
		{"up ends healthy on every host", func(t *testing.T) { freshUp(t, plant) }},
		{"up again changes nothing", func(t *testing.T) { unchangedUp(t, plant) }},
		{"the secret is nowhere in plain text", plant.check},
		{"the host's files are valid", hostFiles},
		{"SSH keys connect, or are refused", sshKeys},
		{"what a host has already is waited for, or named", surroundings},
		{"bad input changes nothing", badInput},
		{"a config change never replaces a server", configChange},
		{"a workflow that was edited by hand is repaired", repositoryDrift},
		{"a gateway that is killed comes back", killed},
		{"a machine that reboots brings its gateway back", rebooted},
		{"a login key is changed in one step", loginKeys},
		{"a resized server's gateway ends before its power does", resized},
		{"what changed on a host is found", hostDrift},
		{"hosts are renamed, moved, given up and taken over", ownership},
		{"an update loses no request", update},
		{"a broken release is rolled back", brokenReleases},
		{"an interrupted up can be run again", interrupted},
		{"down leaves nothing", down},
	})
}

func freshUp(t *testing.T, plant *secretPlant) {
	output := tested.must(t, plant.watch(t, up("--version", first)...)...)
	wantContains(t, output, "healthy on gw-1", "healthy on gw-2", "@sha256:", "signed    bill of materials", "provenance attached")
	wantNoWarning(t, output)
	tested.wantVersion(t, first)
}

func unchangedUp(t *testing.T, plant *secretPlant) {
	before := startTimes(t)
	output := tested.must(t, plant.arguments(up()...)...)
	wantContains(t, output, " unchanged")
	wantNoWarning(t, output)
	for _, word := range []string{" created", " updated", "REPLACED", " deleted"} {
		if strings.Contains(output, "stack     ") && strings.Contains(output[strings.Index(output, "stack     "):], word) {
			t.Errorf("an unchanged `up` reports%s:\n%s", word, output)
		}
	}
	if after := startTimes(t); after != before {
		t.Errorf("an unchanged `up` restarted gateways: started %s before, %s after", before, after)
	}
}

// wantNoWarning demands that a run printed none: one that is always there hides
// those that matter.
func wantNoWarning(t *testing.T, output string) {
	t.Helper()
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "  warning: ") {
			t.Errorf("it warns: %s", strings.TrimSpace(line))
		}
	}
}

// startTimes tells when the gateways' containers were started.
func startTimes(t *testing.T) string {
	t.Helper()
	var times []string
	for _, host := range tested.hosts(t).All() {
		times = append(times, host.Name+" "+strings.TrimSpace(tested.onHost(t, host.Name, "docker inspect --format '{{.State.StartedAt}}' clawft")))
	}
	return strings.Join(times, ", ")
}

func badInput(t *testing.T) {
	cases := []struct {
		name   string
		args   []string
		wanted []string
	}{
		{"unknown server type", []string{"--set", "clawft:hosts[0].hcloud.type=cx99"}, []string{"gw-1", `"cx99"`, "cx23"}},
		{"unknown location", []string{"--set", "clawft:hosts[0].hcloud.location=mars1"}, []string{"mars1"}},
		{"version that is none", []string{"--version", "latest"}, []string{"clawft:version", `"latest"`}},
		{"unknown key", []string{"--set", "clawft:gatway.port=8080"}, []string{"clawft:gatway", `"gateway"`}},
		{"several wrong values at once", []string{
			"--set", "clawft:gateway.port=99999", "--set", "clawft:gateway.memroy=512", "--set", "clawft:hosts[1].hostKey=abc",
		}, []string{"clawft:gateway.port", "99999", "memroy", "memoryMiB", "clawft:hosts[1].hostKey"}},
	}
	before := startTimes(t)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			output := tested.mustFail(t, time.Minute, up(test.args...)...)
			wantContains(t, output, test.wanted...)
		})
	}
	if after := startTimes(t); after != before {
		t.Errorf("bad input restarted gateways: %s before, %s after", before, after)
	}
	tested.wantVersion(t, first)
}

func configChange(t *testing.T) {
	output := tested.must(t, "preview", "--version", first, "--set", "clawft:gateway.memoryMiB=300", "--set", "clawft:gateway.logLevel=debug",
		"--set", "clawft:ssh.allowedSources[0]=10.0.0.0/8")
	wantNoWarning(t, output)
	if strings.Contains(output, "REPLACE") {
		t.Errorf("a changed gateway, log level and firewall would replace something:\n%s", output)
	}
	output = tested.must(t, "preview", "--version", first, "--set", "clawft:hosts[0].hcloud.location=fsn1")
	wantContains(t, output, "REPLACE", "gw-1-server", "location")
}

func killed(t *testing.T) {
	for name, command := range map[string]string{
		"process":       "sh -c 'kill -9 $(docker inspect --format {{.State.Pid}} clawft)'",
		"container":     "docker kill clawft",
		"docker client": "systemctl kill --signal=SIGKILL --kill-who=main clawft.service",
	} {
		t.Run(name, func(t *testing.T) {
			before := startTimes(t)
			tested.onHost(t, "gw-1", command)
			for deadline := time.Now().Add(30 * time.Second); startTimesOrEmpty(t) == before; time.Sleep(200 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the gateway was not started again")
				}
			}
			t.Logf("healthy again after %.1f s", tested.eventually(t, first, 30*time.Second).Seconds())
		})
	}
}

// startTimesOrEmpty is startTimes while a container may be gone.
func startTimesOrEmpty(t *testing.T) string {
	t.Helper()
	hosts := tested.hosts(t)
	var times []string
	for _, host := range hosts.All() {
		started, err := hosts.Run(t.Context(), host, "docker inspect --format '{{.State.StartedAt}}' clawft")
		if err != nil {
			return ""
		}
		times = append(times, host.Name+" "+strings.TrimSpace(started))
	}
	return strings.Join(times, ", ")
}

func rebooted(t *testing.T) {
	machines, err := site.Machines(tested.options())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range tested.hosts(t).All() {
		if err := machines.Restart(t.Context(), host.Name); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("healthy again after %.1f s", tested.eventually(t, first, time.Minute).Seconds())
}

func update(t *testing.T) {
	traffic := startLoad(t, tested, "gw-1")
	other := startLoad(t, tested, "gw-2")
	time.Sleep(time.Second)
	output := tested.must(t, up("--version", second)...)
	time.Sleep(time.Second)
	traffic.finish(t, 0)
	other.finish(t, 0)
	if strings.Contains(output, "REPLACE") {
		t.Errorf("an update replaced something:\n%s", output)
	}
	tested.wantVersion(t, second)
}

func down(t *testing.T) {
	tested.must(t, "down")
	if _, err := os.Stat(site.Dir(tested.root, labName)); err == nil {
		t.Errorf("%s is still there", site.Dir(tested.root, labName))
	}
	for _, line := range []string{
		"docker ps --all --quiet --filter name=clawft-lab-" + labName,
		"docker network ls --quiet --filter name=clawft-lab-" + labName,
		"docker volume ls --quiet --filter name=clawft-lab-" + labName,
		// The brackets keep the pattern from finding itself.
		"pgrep --list-full --full '[l]abs/" + labName + "'",
	} {
		if left := shell(t, line); left != "" {
			t.Errorf("%s finds %s", line, left)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(tested.root, ".lab", "machines", "*"+labName)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
