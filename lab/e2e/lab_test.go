package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawft/infra/lab/site"
)

// The lab is this checkout's own, so that the tests of two checkouts can run on one machine.
var labName, labSubnet string

const (
	// healthTimeout and watch are short, so that failed deployments are.
	healthTimeout = 12
	watch         = 4
)

// lab is the lab under test, driven by its command line.
type lab struct {
	root, binary string
	// home is another machine's, or empty for the lab's own.
	home string
}

var tested lab

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("the end-to-end tests start machines, which needs root; run them as root")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return 1, fmt.Errorf("finding the checkout: %w", err)
	}
	checkout := sha256.Sum256([]byte(root))
	labName = "e2e-" + hex.EncodeToString(checkout[:3])
	labSubnet = fmt.Sprintf("172.30.%d.0/24", 10+int(checkout[3])%240)
	dir, err := os.MkdirTemp("", "clawft-e2e-")
	if err != nil {
		return 1, fmt.Errorf("creating a directory for the lab's program: %w", err)
	}
	defer os.RemoveAll(dir)
	tested = lab{root: root, binary: filepath.Join(dir, "lab")}
	build := exec.Command("go", "build", "-o", tested.binary, "./lab")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the lab: %w\n%s", err, output)
	}
	// What an earlier run that was killed may have left.
	if output, err := tested.run(context.Background(), "down", "--force"); err != nil {
		return 1, fmt.Errorf("removing a leftover lab: %w\n%s", err, output)
	}
	code := m.Run()
	if output, err := tested.run(context.Background(), "down", "--force"); err != nil {
		return 1, fmt.Errorf("removing the lab: %w\n%s", err, output)
	}
	return code, nil
}

// command prepares a lab command without starting it.
func (l lab) command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, l.binary, append([]string{"--name", labName, "--subnet", labSubnet}, args...)...)
	command.Dir = l.root
	if l.home != "" {
		command.Args = append(command.Args, "--home", filepath.Join(l.home, "checkout", "lab-home"))
		command.Env = append(command.Environ(), l.environment()...)
	}
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGINT) }
	command.WaitDelay = 60 * time.Second
	return command
}

// run runs a lab command and returns everything that it printed.
func (l lab) run(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer
	command := l.command(ctx, args...)
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	return output.String(), err
}

// step is a part of a test that works on what the one before has left.
type step struct {
	name string
	run  func(t *testing.T)
}

// inOrder runs steps until one fails.
func inOrder(t *testing.T, steps []step) {
	t.Helper()
	for _, step := range steps {
		if !t.Run(step.name, step.run) {
			t.Fatalf("the steps after %q need what it leaves", step.name)
		}
	}
}

// up are the arguments of an `up` with the tests' short timeouts.
func up(args ...string) []string {
	return append([]string{
		"up",
		"--set", fmt.Sprintf("clawft:gateway.healthTimeout=%d", healthTimeout),
		"--set", fmt.Sprintf("clawft:gateway.watch=%d", watch),
	}, args...)
}

// must runs a lab command that has to succeed.
func (l lab) must(t *testing.T, args ...string) string {
	t.Helper()
	started := time.Now()
	output, err := l.run(t.Context(), args...)
	if err != nil {
		t.Fatalf("lab %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	t.Logf("lab %s: %.1f s", strings.Join(args, " "), time.Since(started).Seconds())
	return output
}

// mustFail runs a lab command that has to fail within a time limit.
func (l lab) mustFail(t *testing.T, limit time.Duration, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	started := time.Now()
	output, err := l.run(ctx, args...)
	if err == nil {
		t.Fatalf("lab %s succeeded, want a failure\n%s", strings.Join(args, " "), output)
	}
	if ctx.Err() != nil {
		t.Fatalf("lab %s: still at work after %s\n%s", strings.Join(args, " "), limit, output)
	}
	t.Logf("lab %s: failed, as it should, after %.1f s", strings.Join(args, " "), time.Since(started).Seconds())
	return output
}

func (l lab) hosts(t *testing.T) *site.Hosts {
	t.Helper()
	hosts, err := site.LoadHosts(l.root, labName)
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

// wantVersion demands that every gateway answers, healthy, with a version.
func (l lab) wantVersion(t *testing.T, version string) {
	t.Helper()
	hosts := l.hosts(t)
	for _, host := range hosts.All() {
		health, err := hosts.Health(t.Context(), host)
		if err != nil {
			t.Errorf("%s does not answer: %v", host.Name, err)
			continue
		}
		if health.Status != "ok" || health.Version != version {
			t.Errorf("%s reports status %q, version %q; want ok, %s", host.Name, health.Status, health.Version, version)
		}
	}
}

// eventually waits until every gateway is healthy with a version.
func (l lab) eventually(t *testing.T, version string, limit time.Duration) time.Duration {
	t.Helper()
	started := time.Now()
	hosts := l.hosts(t)
	for _, host := range hosts.All() {
		for {
			health, err := hosts.Health(t.Context(), host)
			if err == nil && health.Status == "ok" && health.Version == version {
				break
			}
			if time.Since(started) > limit {
				t.Fatalf("%s is not healthy with version %s after %s: %+v, %v", host.Name, version, limit, health, err)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	return time.Since(started)
}

// onHost runs a command on a host as root.
func (l lab) onHost(t *testing.T, name, command string) string {
	t.Helper()
	hosts := l.hosts(t)
	host, err := hosts.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	output, err := hosts.Run(t.Context(), host, command)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// onHostWith runs a command on a host as root with standard input, and returns
// everything that it printed.
func (l lab) onHostWith(t *testing.T, name, command, input string) string {
	t.Helper()
	hosts := l.hosts(t)
	host, err := hosts.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	if host.User != "root" {
		command = "sudo -n " + command
	}
	line := append(hosts.SSH(host, "-o", "BatchMode=yes"), "--", command)
	ssh := exec.CommandContext(t.Context(), line[0], line[1:]...)
	ssh.Stdin = strings.NewReader(input)
	output, err := ssh.CombinedOutput()
	if err != nil {
		t.Fatalf("running %q on %s: %v\n%s", command, name, err, output)
	}
	return string(output)
}

func wantContains(t *testing.T, output string, wanted ...string) {
	t.Helper()
	for _, text := range wanted {
		if !strings.Contains(output, text) {
			t.Errorf("the output lacks %q:\n%s", text, output)
		}
	}
}

// options open the lab under test from Go.
func (l lab) options() site.Options {
	return site.Options{Root: l.root, Name: labName, Subnet: netip.MustParsePrefix(labSubnet), Out: os.Stderr}
}

// shell returns what a command line prints; finding nothing is no error.
func shell(t *testing.T, line string) string {
	t.Helper()
	output, err := exec.Command("sh", "-c", line).Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.TrimSpace(string(output))
}
