package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Progress tells the user what takes time or changes the machine.
type Progress func(format string, args ...any)

// programs maps a Debian package to the program that it is wanted for. The
// program counts and not the package: Docker's own docker-ce and containerd.io
// conflict with Debian's docker.io and runc, and do the same work.
var programs = map[string]string{
	"curl":           "curl",
	"docker-cli":     "docker",
	"docker.io":      "dockerd",
	"git":            "git",
	"iptables":       "iptables",
	"jq":             "jq",
	"mmdebstrap":     "mmdebstrap",
	"nodejs":         "node",
	"openssh-client": "ssh",
	"runc":           "runc",
	"shellcheck":     "shellcheck",
}

// Packages installs those of the named Debian packages that the machine lacks.
// It works where `apt-get update` was never run.
func Packages(ctx context.Context, progress Progress, names ...string) error {
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return present(ctx, name) })
	if len(missing) == 0 {
		return nil
	}
	if err := mayInstall(missing, os.Geteuid()); err != nil {
		return err
	}
	progress("installing the Debian packages %s", strings.Join(missing, ", "))
	start := time.Now()
	// Stale or absent lists name files that the mirror no longer has. A source
	// that fails matters only if the packages do not come from another one.
	update, updateErr := aptGet(ctx, "update", "--quiet")
	// --no-remove: rather fail than replace something the user has chosen.
	install, err := aptGet(ctx, append([]string{"install", "--quiet", "--yes", "--no-install-recommends", "--no-remove"}, missing...)...)
	if err != nil {
		said := install
		if updateErr != nil {
			said = update + "\n" + install
		}
		return fmt.Errorf("installing %s: apt-get: %w:\n%s", strings.Join(missing, ", "), err, lastLines(said, 15))
	}
	progress("installed %s in %.0f s", strings.Join(missing, ", "), time.Since(start).Seconds())
	return nil
}

func present(ctx context.Context, name string) bool {
	if program, known := programs[name]; known {
		return findProgram(program) != ""
	}
	out, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${db:Status-Status}", name).Output()
	return err == nil && string(out) == "installed"
}

// findProgram looks beyond PATH, which for an ordinary user leaves out the
// directories of daemons and network tools. It returns "" if there is none.
func findProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// mayInstall tells the user what to do where this process cannot do it.
func mayInstall(missing []string, uid int) error {
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine lacks %s, and only on Debian and Ubuntu are they installed for you; "+
			"install what your system calls the Debian packages %s", programNames(missing), list)
	}
	if uid != 0 {
		return fmt.Errorf("this machine lacks %s, and installing needs root; "+
			"run: sudo apt-get update && sudo apt-get install --no-install-recommends %s", programNames(missing), list)
	}
	return nil
}

func programNames(packages []string) string {
	names := make([]string, len(packages))
	for i, name := range packages {
		names[i] = name
		if program, known := programs[name]; known {
			names[i] = program
		}
	}
	return strings.Join(names, ", ")
}

// aptGet returns what apt-get said.
func aptGet(ctx context.Context, args ...string) (string, error) {
	// Another apt-get may be at work, such as unattended-upgrades after a boot.
	args = append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	// dpkg must not be killed half-way; it ends by itself when asked to.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return said.String(), err
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
