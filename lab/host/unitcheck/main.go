// Unitcheck runs on a machine with systemd and looks whether host/units finds there what it counts on. It is also
// the program of the units that it makes for that: "serve" behaves as its further argument says.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/clawft/infra/host/network"
	"github.com/clawft/infra/host/units"
)

const (
	program = "/usr/local/bin/clawft-host"
	unit    = "clawft-check.service"
	// late is how long a service takes until it is ready.
	late = 700 * time.Millisecond
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serve(os.Args[2])
	}
	// As the unit of a gateway calls it.
	if len(os.Args) == 3 && os.Args[1] == "run" {
		sandboxed()
	}
	failed := false
	for _, check := range []struct {
		name string
		run  func(context.Context, units.Units) error
	}{
		{"a unit that is not there", absent},
		{"started means ready", ready},
		{"a start that fails", fails},
		{"a start without end", endless},
		{"what is on disk is what starts", changed},
		{"a unit that is not there any more", removed},
		{"at boot", atBoot},
		{"stopping what waits for its next start", waiting},
		{"our units are loaded", ours},
		{"what the gateway's unit may", sandbox},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := check.run(ctx, units.New()); err != nil {
			fmt.Printf("%s: %v\n", check.name, err)
			failed = true
		}
		cancel()
	}
	if failed {
		os.Exit(1)
	}
	fmt.Println("all is well")
}

func serve(how string) {
	switch how {
	case "exit":
		os.Exit(3)
	case "never":
	default:
		time.Sleep(late)
		daemon.SdNotify(false, "READY=1\nSTATUS="+how) //nolint:errcheck // the check fails
	}
	time.Sleep(time.Hour)
}

// put writes a unit that serves as it is told.
func put(how, more string) error {
	return os.WriteFile(filepath.Join(units.Directory, unit), []byte("[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart="+program+" serve "+how+"\n"+more+"[Install]\nWantedBy=multi-user.target\n"), 0o644)
}

func want[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

func absent(ctx context.Context, u units.Units) error {
	state, err := u.State(ctx, unit)
	found, err2 := u.List(ctx, []string{unit})
	if err := errors.Join(err, err2, u.Stop(ctx, unit)); err != nil {
		return err
	}
	return errors.Join(want("active", state.Active, "inactive"), want("load", found[0].Load, "not-found"), want("enabled", state.Enabled, false))
}

func ready(ctx context.Context, u units.Units) error {
	if err := put("ready", ""); err != nil {
		return err
	}
	for range 2 {
		start := time.Now()
		if err := u.Restart(ctx, unit); err != nil {
			return err
		}
		if took := time.Since(start); took < late {
			return fmt.Errorf("after %v, the service could not be ready", took)
		}
		state, err := u.State(ctx, unit)
		if err := errors.Join(err, want("active", state.Active, "active"), want("sub", state.Sub, "running")); err != nil {
			return err
		}
	}
	if err := u.Stop(ctx, unit); err != nil {
		return err
	}
	state, err := u.State(ctx, unit)
	return errors.Join(err, want("active", state.Active, "inactive"), want("result", state.Result, "success"))
}

func fails(ctx context.Context, u units.Units) error {
	if err := put("exit", ""); err != nil {
		return err
	}
	err := u.Restart(ctx, unit)
	if err == nil || !strings.Contains(err.Error(), "the job ended with failed; the unit is failed (failed), its result exit-code") {
		return fmt.Errorf("got %w", err)
	}
	state, err := u.State(ctx, unit)
	return errors.Join(err, want("exit code", state.ExitCode, 3), want("result", state.Result, "exit-code"))
}

func endless(ctx context.Context, u units.Units) error {
	if err := put("never", ""); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := u.Restart(short, unit); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("got %w", err)
	}
	state, err := u.State(ctx, unit)
	return errors.Join(err, want("active", state.Active, "activating"), u.Stop(ctx, unit))
}

// changed is what a process that was killed between writing a unit and having it loaded leaves.
func changed(ctx context.Context, u units.Units) error {
	if err := errors.Join(put("first", ""), u.Restart(ctx, unit)); err != nil {
		return err
	}
	// systemd compares times.
	time.Sleep(time.Second)
	if err := put("second", ""); err != nil {
		return err
	}
	state, err := u.State(ctx, unit)
	if err := errors.Join(err, want("need reload", state.NeedReload, true), u.Restart(ctx, unit)); err != nil {
		return err
	}
	state, err = u.State(ctx, unit)
	if err := errors.Join(err, want("need reload", state.NeedReload, false)); err != nil {
		return err
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	var serving []string
	for _, name := range commands {
		if text, _ := os.ReadFile(name); strings.HasPrefix(string(text), program+"\x00serve\x00") {
			serving = append(serving, strings.Split(string(text), "\x00")[2])
		}
	}
	return want("serving", strings.Join(serving, " "), "second")
}

func removed(ctx context.Context, u units.Units) error {
	if err := errors.Join(u.Restart(ctx, unit), os.Remove(filepath.Join(units.Directory, unit)), u.Reload(ctx), u.Stop(ctx, unit)); err != nil {
		return err
	}
	if err := u.Restart(ctx, unit); err == nil || !strings.Contains(err.Error(), "not found") {
		return fmt.Errorf("restarting it: got %w", err)
	}
	return nil
}

func atBoot(ctx context.Context, u units.Units) error {
	if err := put("ready", ""); err != nil {
		return err
	}
	for _, enabled := range []bool{true, true, false, false} {
		change := u.Disable
		if enabled {
			change = u.Enable
		}
		if err := change(ctx, unit); err != nil {
			return err
		}
		state, err := u.State(ctx, unit)
		_, there := os.Lstat(units.Directory + "/multi-user.target.wants/" + unit)
		if err := errors.Join(err, want("enabled", state.Enabled, enabled), want("link", there == nil, enabled)); err != nil {
			return err
		}
	}
	return nil
}

func waiting(ctx context.Context, u units.Units) error {
	if err := put("exit", "Restart=always\nRestartSec=30\n"); err != nil {
		return err
	}
	if err := u.Restart(ctx, unit); err == nil {
		return errors.New("it started")
	}
	state, err := u.State(ctx, unit)
	if err := errors.Join(err, want("active", state.Active, "activating"), want("sub", state.Sub, "auto-restart"), u.Stop(ctx, unit)); err != nil {
		return err
	}
	state, err = u.State(ctx, unit)
	if state.Active == "activating" {
		return errors.New("it waits still")
	}
	return err
}

func ours(ctx context.Context, u units.Units) error {
	var names []string
	for _, file := range units.Files() {
		if err := os.WriteFile(file.Path, file.Content, 0o644); err != nil {
			return err
		}
		names = append(names, strings.Replace(filepath.Base(file.Path), "@.", "@check.", 1))
	}
	if err := u.Reload(ctx); err != nil {
		return err
	}
	found, err := u.List(ctx, names)
	for _, unit := range found {
		err = errors.Join(err, want(unit.Name, unit.Load, "loaded"))
	}
	return err
}

// sandbox starts the gateway's unit as it is, with this program as the gateway's.
func sandbox(ctx context.Context, u units.Units) error {
	const place = "/var/lib/clawft/check"
	if err := errors.Join(os.MkdirAll(place+"/data", 0o755), os.WriteFile(place+"/record.json", nil, 0o600), os.Chown(place+"/data", 10001, 10001), os.Chmod(place+"/data", 0o700)); err != nil {
		return err
	}
	// The machine has no engine; its socket is all that counts here.
	engine, err := new(net.ListenConfig).Listen(ctx, "unix", "/run/docker.sock")
	if err != nil {
		return err
	}
	defer engine.Close()
	if err := u.Restart(ctx, "clawft@check.service"); err != nil {
		text, _ := os.ReadFile(place + "/report")
		return fmt.Errorf("%w: %s", err, text)
	}
	state, err := u.State(ctx, "clawft@check.service")
	return errors.Join(err, want("active", state.Active, "active"), u.Stop(ctx, "clawft@check.service"))
}

// sandboxed does what the gateway's unit has to do, and tries what it must not.
func sandboxed() {
	failed := func(err error) bool { return err != nil }
	var problems []error
	needs := func(what string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", what, err))
		}
	}
	must := func(what string, not bool) {
		if !not {
			problems = append(problems, errors.New("it can "+what))
		}
	}
	_, err := network.Apply(network.Policy{Users: []uint32{1}, Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	needs("setting the packet filter", err)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	network.Guard(ctx, network.Policy{}, func(message string) { needs("guarding the packet filter", errors.New(message)) })
	cancel()
	needs("removing the packet filter", network.Remove())
	conn, err := new(net.Dialer).DialContext(context.Background(), "unix", "/run/docker.sock")
	needs("reaching the engine", err)
	if err == nil {
		conn.Close()
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	needs("the machine's network", err)
	if err == nil {
		listener.Close()
	}
	for _, name := range []string{"/var/lib/clawft/check/record.json", "/var/lib/clawft/check/data/file", "/run/clawft/check/config.json"} {
		needs("writing", os.WriteFile(name, nil, 0o600))
	}
	needs("giving a file away", os.Chown("/var/lib/clawft/check/data/file", 10001, 10001))
	must("write to /etc", failed(os.WriteFile("/etc/clawft-check", nil, 0o600)))
	must("write to /usr", failed(os.WriteFile("/usr/local/bin/clawft-check", nil, 0o600)))
	must("mount", failed(unix.Mount("none", "/tmp", "tmpfs", 0, "")))
	must("make a device", failed(unix.Mknod("/var/lib/clawft/check/null", unix.S_IFCHR|0o600, 0x103)))
	must("have a raw socket", failed(raw()))
	if err := errors.Join(problems...); err != nil {
		os.WriteFile("/var/lib/clawft/check/report", []byte(err.Error()), 0o600) //nolint:errcheck // the check fails anyway
		os.Exit(1)
	}
	serve("healthy")
}

func raw() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	if err == nil {
		unix.Close(socket)
	}
	return err
}
