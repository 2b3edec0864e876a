package surroundings

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ours are the units that may hold the sockets: the proxy, and systemd for it.
var ours = map[string]bool{"clawft-proxy.service": true, "clawft-proxy.socket": true, "init.scope": true}

// sockets names who is where the gateway's front has to be.
func (m Machine) sockets() []string {
	var found []string
	for _, path := range m.Sockets {
		info, err := os.Lstat(m.path(path))
		switch {
		case err != nil:
			continue
		case info.Mode()&os.ModeSocket == 0:
			found = append(found, fmt.Sprintf("%s, which the gateway needs, is not a socket: move it away", path))
			continue
		}
		for _, process := range m.listening(path) {
			if !ours[process.unit] {
				found = append(found, fmt.Sprintf("the socket %s, which the gateway needs, is taken by %s: stop it", path, process))
				break
			}
		}
	}
	return found
}

type process struct{ pid, name, unit string }

func (p process) String() string {
	text := fmt.Sprintf("%s, pid %s", p.name, p.pid)
	if p.unit != "" {
		text += ", of " + p.unit
	}
	return text
}

// listening are the processes that have a socket open which is bound to a path, by what the kernel says
// (proc_net(5)). A socket that nobody has open is none's.
func (m Machine) listening(path string) []process {
	file, err := os.Open(m.path("/proc/net/unix"))
	if err != nil {
		return nil
	}
	defer file.Close()
	inodes := map[string]bool{}
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		fields := strings.Fields(scanner.Text())
		// Num RefCount Protocol Flags Type St Inode Path; the flag says that it takes connections.
		if len(fields) == 8 && fields[7] == path && fields[3] == "00010000" {
			inodes["socket:["+fields[6]+"]"] = true
		}
	}
	if len(inodes) == 0 {
		return nil
	}
	descriptors, _ := filepath.Glob(m.path("/proc/[0-9]*/fd/*"))
	var found []process
	seen := map[string]bool{}
	for _, descriptor := range descriptors {
		target, err := os.Readlink(descriptor)
		if err != nil || !inodes[target] {
			continue
		}
		directory := filepath.Dir(filepath.Dir(descriptor))
		pid := filepath.Base(directory)
		if !seen[pid] {
			seen[pid] = true
			found = append(found, process{pid, name(directory), unit(directory)})
		}
	}
	return found
}

func name(directory string) string {
	text, err := os.ReadFile(filepath.Join(directory, "comm"))
	if err != nil {
		return "a process"
	}
	return strings.TrimSpace(string(text))
}

var unitPattern = regexp.MustCompile(`[^/\n]+\.(?:service|scope|socket)`)

// unit is the innermost one that a process belongs to.
func unit(directory string) string {
	text, err := os.ReadFile(filepath.Join(directory, "cgroup"))
	if err != nil {
		return ""
	}
	all := unitPattern.FindAllString(string(text), -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}
