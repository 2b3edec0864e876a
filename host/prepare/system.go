package prepare

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// epoch is before when a clock is wrong, and no certificate is valid yet.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// oldest are the supported distributions with their oldest major versions, as os-release(5) names them.
var oldest = map[string]int{"debian": 12, "ubuntu": 22}

// checkSystem refuses a machine on which nothing here would work.
func (h *Host) checkSystem() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root: connect as root, or as a user with passwordless sudo")
	}
	if _, err := os.Stat(h.path("/run/systemd/system")); err != nil {
		return errors.New("systemd does not run here")
	}
	release := h.osRelease()
	version, _, _ := strings.Cut(release["VERSION_ID"], ".")
	major, err := strconv.Atoi(version)
	if least, known := oldest[release["ID"]]; !known || err != nil || major < least {
		name := release["PRETTY_NAME"]
		if name == "" {
			name = "this system"
		}
		return fmt.Errorf("%s is not supported; Debian 12 and Ubuntu 22.04 or newer are", name)
	}
	if now := h.now(); now.Before(epoch) {
		return fmt.Errorf("the clock says %s: set it (timedatectl set-ntp true)", now.UTC().Format(time.RFC1123))
	}
	for _, directory := range []string{"/usr/local", "/etc", "/var/lib"} {
		var system unix.Statfs_t
		if err := unix.Statfs(h.path(directory), &system); err != nil {
			return fmt.Errorf("looking at %s: %w", directory, err)
		}
		if system.Flags&unix.ST_RDONLY != 0 {
			return fmt.Errorf("%s cannot be written: it is on a file system that is read-only; mount it writable", directory)
		}
	}
	return nil
}

// osRelease reads os-release(5).
func (h *Host) osRelease() map[string]string {
	values := map[string]string{}
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		file, err := os.Open(h.path(path))
		if err != nil {
			continue
		}
		defer file.Close()
		for scanner := bufio.NewScanner(file); scanner.Scan(); {
			if name, value, ok := strings.Cut(scanner.Text(), "="); ok {
				values[name] = strings.Trim(value, `"'`)
			}
		}
		break
	}
	return values
}
