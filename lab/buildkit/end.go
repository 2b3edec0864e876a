package buildkit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// end stops the daemon of dir and clears away what it and its build steps may
// have left: processes, cgroups, mounts. exited is closed when a daemon that is
// a child of this process is gone; it is nil otherwise. The caller has the turn.
func end(dir string, exited <-chan struct{}) error {
	pid, err := find(dir)
	if err != nil {
		return err
	}
	if pid != 0 {
		if err := terminate(pid, exited); err != nil {
			return err
		}
	}
	return errors.Join(killSteps(dir), unmount(dir))
}

// find looks for the daemon of dir by its command line: unlike a number in a
// file, that cannot belong to another program by now. It returns 0 for none.
func find(dir string) (int, error) {
	pids, err := processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // gone meanwhile
		}
		args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
		if len(args) == 3 && args[1] == "--config" && args[2] == configPath(dir) {
			return pid, nil
		}
	}
	return 0, nil
}

func processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func terminate(pid int, exited <-chan struct{}) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(pid, signal); errors.Is(err, syscall.ESRCH) {
			return nil
		}
		for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); {
			if gone(pid, exited) {
				return nil
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return fmt.Errorf("stopping BuildKit: process %d did not end", pid)
}

func gone(pid int, exited <-chan struct{}) bool {
	if exited != nil {
		select {
		case <-exited:
			return true
		default:
			return false
		}
	}
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// cgroupName is the cgroup under which the daemon of dir puts its build steps.
func cgroupName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "clawft-lab-build-" + hex.EncodeToString(sum[:6])
}

// killSteps ends build steps that outlived their daemon, and removes the
// cgroups they ran in.
func killSteps(dir string) error {
	name := cgroupName(dir)
	for deadline := time.Now().Add(stopTimeout); ; time.Sleep(20 * time.Millisecond) {
		pids, err := processes()
		if err != nil {
			return err
		}
		left := 0
		for _, pid := range pids {
			cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
			if err == nil && strings.Contains(string(cgroup), "/"+name+"/") {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return errors.Join(forgetSteps(dir), removeCgroups(name))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("stopping BuildKit: %d processes of build steps did not end (cgroup %s)", left, name)
		}
	}
}

// forgetSteps has runc remove its records of build steps, which outlive both
// the step and the daemon if the daemon was killed.
func forgetSteps(dir string) error {
	ids, err := stepIDs(dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		// With --force it is no error if there is no such record.
		remove := exec.CommandContext(context.Background(), "runc", "delete", "--force", id)
		if output, err := remove.CombinedOutput(); err != nil {
			return fmt.Errorf("removing the build step %s: %w: %s", id, err, bytes.TrimSpace(output))
		}
	}
	return nil
}

// stepIDs are the containers that the daemon of dir has left a directory of.
func stepIDs(dir string) ([]string, error) {
	bundles, err := filepath.Glob(filepath.Join(dir, "root", "runc-*", "executor", "*", "config.json"))
	if err != nil {
		return nil, fmt.Errorf("looking for build steps: %w", err)
	}
	var ids []string
	for _, bundle := range bundles {
		ids = append(ids, filepath.Base(filepath.Dir(bundle)))
	}
	return ids, nil
}

// removeCgroups removes the named cgroup with what is below it: in the unified
// hierarchy, and in that of each controller where those are mounted separately.
func removeCgroups(name string) error {
	var dirs []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
		roots, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("looking for cgroups: %w", err)
		}
		for _, root := range roots {
			err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("listing cgroups: %w", err)
			}
		}
	}
	// The innermost first. One that is removed twice, because its hierarchy is
	// mounted under two names, is no fault.
	slices.Reverse(dirs)
	for _, dir := range dirs {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a build step's cgroup: %w", err)
		}
	}
	return nil
}

// unmount removes the mounts below dir.
func unmount(dir string) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	defer file.Close()
	// How the kernel writes what would break its columns.
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var below []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if path := unescape.Replace(fields[4]); strings.HasPrefix(path, dir+"/") {
			below = append(below, path)
		}
	}
	// Later ones may lie on top of earlier ones.
	slices.Reverse(below)
	for _, path := range below {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("unmounting %s: %w", path, err)
		}
	}
	return nil
}
