package e2e

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/lab/site"
)

// ownership renames, moves, gives up and takes over hosts. Each part ends with the
// hosts as they were.
func ownership(t *testing.T) {
	inOrder(t, []step{
		{"a renamed host keeps what it has", renamed},
		{"a renamed host that does not say so is refused", renamedSilently},
		{"a login that is refused is named", refusedLogin},
		{"a host moves, and its old machine can be given up", moved},
		{"a container of somebody else's is spared", foreignContainer},
		{"another stack's machine is taken over", takenOver},
		{"a protected stack is not destroyed in part", protected},
	})
}

// started tells when the gateways were started, whatever they are called.
func started(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`gw-\w+ `).ReplaceAllString(startTimes(t), "")
}

// wantUntouched demands that no gateway was started since.
func wantUntouched(t *testing.T, before string) {
	t.Helper()
	if after := started(t); after != before {
		t.Errorf("gateways were restarted: started %s before, %s after", before, after)
	}
}

func renamed(t *testing.T) {
	before := started(t)
	for _, names := range [][2][2]string{{{"gw-a", "gw-1"}, {"gw-b", "gw-2"}}, {{"gw-1", "gw-a"}, {"gw-2", "gw-b"}}} {
		output := tested.must(t, up("--version", first,
			"--set", "clawft:hosts[0].name="+names[0][0], "--set", "clawft:hosts[0].was="+names[0][1],
			"--set", "clawft:hosts[1].name="+names[1][0], "--set", "clawft:hosts[1].was="+names[1][1])...)
		summary := output[max(strings.Index(output, "stack     "), 0):]
		for _, word := range []string{" created", "REPLACED", " deleted"} {
			if strings.Contains(summary, word) {
				t.Errorf("a rename reports%s:\n%s", word, output)
			}
		}
		wantContains(t, output, "healthy on "+names[0][0], "healthy on "+names[1][0])
	}
	wantUntouched(t, before)
}

func renamedSilently(t *testing.T) {
	before := started(t)
	output := tested.mustFail(t, time.Minute, up("--version", first, "--set", "clawft:hosts[1].name=gw-b")...)
	wantContains(t, output, "this machine runs gateway gw-2", "was: gw-2")
	tested.must(t, up("--version", first)...)
	wantUntouched(t, before)
}

func refusedLogin(t *testing.T) {
	before := started(t)
	output := tested.mustFail(t, 30*time.Second, up("--version", first, "--set", "clawft:hosts[1].user=games")...)
	wantContains(t, output, "host gw-2: ", "refuses the login of user games")
	tested.must(t, up("--version", first)...)
	wantUntouched(t, before)
}

// inMachine runs a command in a machine that no stack's output names.
func inMachine(t *testing.T, name, command string) string {
	t.Helper()
	machines, err := site.Machines(tested.options())
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("docker", "exec", machines.Container(name), "sh", "-c", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s on %s: %v\n%s", command, name, err, output)
	}
	return strings.TrimSpace(string(output))
}

func moved(t *testing.T) {
	address, hostKey, err := site.Spare(t.Context(), tested.options())
	if err != nil {
		t.Fatal(err)
	}
	machines, err := site.Machines(tested.options())
	if err != nil {
		t.Fatal(err)
	}
	tested.onHost(t, "gw-2", "touch /opt/clawft/data/marker")
	output := tested.must(t, up("--version", first, "--set", "clawft:hosts[1].address="+address, "--set", "clawft:hosts[1].hostKey="+hostKey)...)
	wantContains(t, output, "healthy on gw-2 ("+address+")")
	if got := inMachine(t, "gw-2", "docker ps --all --quiet; ls /opt/clawft/releases; test ! -e /etc/systemd/system/clawft.service; ls /opt/clawft/data/marker"); got != "/opt/clawft/data/marker" {
		t.Errorf("the old machine has\n%s\nwant its data alone", got)
	}

	// It dies, and the host moves on.
	if output, err := exec.Command("docker", "stop", "--time", "1", machines.Container("gw-3")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	output = tested.mustFail(t, 90*time.Second, up("--version", first)...)
	wantContains(t, output, "host gw-2: "+address+" does not answer", "nothing was started in its place", "giveUp: true at gw-2")
	if got := inMachine(t, "gw-2", "docker ps --all --quiet"); got != "" {
		t.Errorf("a gateway was started while another one may run: %s", got)
	}
	output = tested.must(t, up("--version", first, "--set", "clawft:gateway.logLevel=debug", "--set", "clawft:hosts[1].giveUp=true")...)
	wantContains(t, output, "host gw-2 is given up", "healthy on gw-1")
	output = tested.must(t, up("--version", first)...)
	wantContains(t, output, "healthy on gw-1", "healthy on gw-2")
	inMachine(t, "gw-2", "rm /opt/clawft/data/marker")

	// One that never ran is neither created nor, once its entry is gone, asked.
	third := []string{
		"--set", "clawft:hosts[2].name=gw-3", "--set", "clawft:hosts[2].address=" + address, "--set", "clawft:hosts[2].hostKey=" + hostKey,
		"--set", "clawft:hosts[2].user=debian", "--set", "clawft:hosts[2].giveUp=true",
	}
	tested.must(t, up(append([]string{"--version", first}, third...)...)...)
	tested.must(t, up("--version", first)...)
	if err := machines.Delete(t.Context(), "gw-3"); err != nil {
		t.Fatal(err)
	}
}

func foreignContainer(t *testing.T) {
	image := strings.TrimSpace(tested.onHost(t, "gw-2", "docker inspect --format {{.Image}} clawft"))
	tested.onHost(t, "gw-2", "systemctl stop clawft.service")
	container := strings.TrimSpace(tested.onHost(t, "gw-2", "docker create --name clawft --label owner=somebody-else "+image))
	output := tested.mustFail(t, 2*time.Minute, up("--version", first, "--set", "clawft:gateway.memoryMiB=300")...)
	wantContains(t, output, "the container clawft is not ours", "label clawft.owner: none")
	tested.onHost(t, "gw-2", "sh -c 'systemctl start clawft.service; sleep 3; systemctl stop clawft.service'")
	if got := strings.TrimSpace(tested.onHost(t, "gw-2", "docker inspect --format '{{.Id}} {{.State.Status}}' clawft")); got != container+" created" {
		t.Errorf("somebody's container is %s, and was %s", got, container)
	}
	tested.onHost(t, "gw-2", "docker rm clawft")
	tested.onHost(t, "gw-2", "systemctl start clawft.service")
	tested.must(t, up("--version", first)...)
	tested.wantVersion(t, first)
}

// takenOver finds another stack's record on a host.
func takenOver(t *testing.T) {
	tested.onHost(t, "gw-2", "sed -i s/^OWNER=.*/OWNER=fedcba9876543210/ /opt/clawft/current/owner")
	before := strings.Split(started(t), ", ")[1]
	output := tested.mustFail(t, time.Minute, up("--version", first, "--set", "clawft:gateway.memoryMiB=300")...)
	take := regexp.MustCompile(`takeOver: (fedcba9876543210/gw-2)`).FindStringSubmatch(output)
	if take == nil {
		t.Fatalf("the refusal does not say how to take it over:\n%s", output)
	}
	if after := strings.Split(started(t), ", ")[1]; after != before {
		t.Errorf("another's gateway was restarted: %s before, %s after", before, after)
	}
	tested.must(t, up("--version", first, "--set", "clawft:hosts[1].takeOver="+take[1])...)
	tested.must(t, up("--version", first)...)
	tested.wantVersion(t, first)
	if owner := ownerOf(t, "gw-2"); owner.ID != ownerOf(t, "gw-1").ID {
		t.Errorf("gw-2 is still %s's", owner.ID)
	}
}

func protected(t *testing.T) {
	before := started(t)
	tested.must(t, up("--version", first, "--set", "clawft:protect=true")...)
	output := tested.mustFail(t, time.Minute, "down")
	wantContains(t, output, "protected")
	if strings.Contains(output, "  deleted") {
		t.Errorf("something was deleted:\n%s", output)
	}
	wantUntouched(t, before)
	tested.must(t, up("--version", first)...)
	wantUntouched(t, before)
}
