package proxy

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// manager is systemd as its services talk to it: sd_notify(3). The zero value is nobody.
type manager struct{ socket string }

// tell sends one message, and the descriptors that it says to keep.
func (m manager) tell(message string, keep ...*os.File) error {
	if m.socket == "" {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	var rights []byte
	if len(keep) > 0 {
		fds := make([]int, len(keep))
		for n, file := range keep {
			fds[n] = int(file.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	// A leading @ is an abstract address for both.
	if err := unix.Sendmsg(fd, []byte(message), rights, &unix.SockaddrUnix{Name: m.socket}, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("telling systemd: %w", err)
	}
	return nil
}

// keep has systemd hold a listener, under a name, until it is told to drop it or the service is stopped.
func (m manager) keep(name string, l *net.UnixListener) error {
	file, err := descriptor(l)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return m.tell("FDSTORE=1\nFDNAME="+name, file)
}

func (m manager) drop(name string) error { return m.tell("FDSTOREREMOVE=1\nFDNAME=" + name) }

// firstDescriptor is where inherited ones begin: sd_listen_fds(3).
const firstDescriptor = 3

// inherited takes what systemd or the predecessor has kept for this process, by name. Nothing
// that this process starts gets it by chance.
func inherited() map[string]*os.File {
	defer func() {
		for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", predecessorVar} {
			_ = os.Unsetenv(name)
		}
	}()
	// The predecessor does not know this process's number before it is there.
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) && os.Getenv(predecessorVar) == "" {
		return nil
	}
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil {
		return nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	files := map[string]*os.File{}
	for n := range count {
		fd := firstDescriptor + n
		syscall.CloseOnExec(fd)
		name := ""
		if n < len(names) {
			name = names[n]
		}
		file := os.NewFile(uintptr(fd), name)
		if files[name] != nil || file == nil {
			// Kept twice, by a process that was killed in between: one of them is enough.
			if file != nil {
				_ = file.Close()
			}
			continue
		}
		files[name] = file
	}
	return files
}

// listener makes an inherited descriptor a listener.
func listener(file *os.File) (*net.UnixListener, error) {
	defer func() { _ = file.Close() }()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("taking over the listener %s: %w", file.Name(), err)
	}
	listens, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close()
		return nil, fmt.Errorf("taking over the listener %s: it is no unix socket", file.Name())
	}
	listens.SetUnlinkOnClose(false)
	return listens, nil
}
