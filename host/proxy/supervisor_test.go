package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// proxyVar has the test binary be the proxy, with sockets in the directory that it names.
const proxyVar = "CLAWFT_PROXY_TEST"

func TestMain(m *testing.M) {
	dir := os.Getenv(proxyVar)
	if dir == "" {
		os.Exit(m.Run())
	}
	o := Defaults()
	o.Dir, o.Patience, o.MaxHold, o.Farewell, o.StreamLimit = dir, 5*time.Second, 6*time.Second, 2*time.Second, 8*time.Second
	if err := Run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

// supervisor is as much of systemd as a service of Type=notify sees, with NotifyAccess=main,
// Restart=always, KillMode=control-group and a store for file descriptors.
type supervisor struct {
	t    *testing.T
	dir  string
	says *net.UnixConn

	mu       sync.Mutex
	main     int
	all      []int // processes that were started, or said to be the main one
	store    []stored
	ready    chan struct{} // a main process is ready
	stopping bool
	ended    sync.WaitGroup
}

type stored struct {
	name string
	file *os.File
}

// supervise starts a proxy in a directory of its own, and ends it with the test.
func supervise(t *testing.T) *supervisor {
	t.Helper()
	// A path of t.TempDir may be longer than a socket's may be.
	dir, err := os.MkdirTemp("", "proxy")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, ownDirectory), 0o700); err != nil {
		t.Fatal(err)
	}
	says, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	s := &supervisor{t: t, dir: dir, says: says, ready: make(chan struct{}, 100)}
	raw, err := says.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	s.install(os.Args[0])
	go s.listen()
	t.Cleanup(func() {
		s.mu.Lock()
		s.stopping = true
		pids := slices.Clone(s.all)
		s.mu.Unlock()
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		s.ended.Wait()
		_ = says.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, it := range s.store {
			_ = it.file.Close()
		}
		_ = os.RemoveAll(dir)
	})
	s.start()
	s.await()
	return s
}

// binary is what the service runs: a link, as on a host.
func (s *supervisor) binary() string { return filepath.Join(s.dir, "clawft-host") }

// install has the link lead elsewhere.
func (s *supervisor) install(binary string) {
	fresh := s.binary() + ".new"
	if err := errors.Join(os.Symlink(binary, fresh), os.Rename(fresh, s.binary())); err != nil {
		s.t.Fatal(err)
	}
}

// start runs the main process with what is in the store.
func (s *supervisor) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A process knows its number only once it is there.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, s.binary())
	var names []string
	for _, it := range s.store {
		cmd.ExtraFiles = append(cmd.ExtraFiles, it.file)
		names = append(names, it.name)
	}
	cmd.Env = append(os.Environ(), proxyVar+"="+s.dir, "NOTIFY_SOCKET="+filepath.Join(s.dir, "notify"), "HOME="+filepath.Join(s.dir, "home"))
	if len(names) > 0 {
		cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Error(err)
		return
	}
	s.main = cmd.Process.Pid
	s.all = append(s.all, s.main)
	s.watch(s.main)
}

// watch starts the service anew when its main process ends. It needs the lock.
func (s *supervisor) watch(pid int) {
	s.ended.Go(func() {
		for {
			if _, err := syscall.Wait4(pid, nil, 0, nil); !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		s.mu.Lock()
		s.all = slices.DeleteFunc(s.all, func(other int) bool { return other == pid })
		again := s.main == pid && !s.stopping
		rest := slices.Clone(s.all)
		s.mu.Unlock()
		if again {
			for _, other := range rest {
				_ = syscall.Kill(other, syscall.SIGTERM)
			}
			time.Sleep(100 * time.Millisecond)
			s.start()
		}
	})
}

// listen does what the main process asks for.
func (s *supervisor) listen() {
	message, rights := make([]byte, 4096), make([]byte, 4096)
	for {
		n, oobn, _, _, err := s.says.ReadMsgUnix(message, rights)
		if err != nil {
			return
		}
		parts, err := syscall.ParseSocketControlMessage(rights[:oobn])
		if err != nil {
			s.t.Error(err)
			continue
		}
		var from int
		var files []*os.File
		for _, part := range parts {
			if credentials, err := syscall.ParseUnixCredentials(&part); err == nil {
				from = int(credentials.Pid)
			} else if fds, err := syscall.ParseUnixRights(&part); err == nil {
				for _, fd := range fds {
					syscall.CloseOnExec(fd)
					files = append(files, os.NewFile(uintptr(fd), "stored"))
				}
			}
		}
		s.hear(from, strings.Split(string(message[:n]), "\n"), files)
	}
}

func (s *supervisor) hear(from int, lines []string, files []*os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		said[name] = value
	}
	if from != s.main {
		s.t.Errorf("systemd is told by another process than the main one: %v", said)
		return
	}
	name := said["FDNAME"]
	if said["FDSTORE"] == "1" {
		for _, file := range files {
			s.store = append(s.store, stored{name, file})
		}
	}
	if said["FDSTOREREMOVE"] == "1" {
		s.store = slices.DeleteFunc(s.store, func(it stored) bool {
			if it.name == name {
				_ = it.file.Close()
			}
			return it.name == name
		})
	}
	if said["MAINPID"] != "" {
		pid, err := strconv.Atoi(said["MAINPID"])
		if err != nil || !childOf(pid, os.Getpid()) {
			s.t.Errorf("MAINPID=%s, which systemd would not notice the end of", said["MAINPID"])
		}
		s.main = pid
		s.all = append(s.all, pid)
		s.watch(pid)
	}
	if said["READY"] == "1" {
		s.ready <- struct{}{}
	}
}

func childOf(pid, parent int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", parent))
}

// await waits for the next main process that is ready.
func (s *supervisor) await() {
	s.t.Helper()
	select {
	case <-s.ready:
	case <-time.After(20 * time.Second):
		s.t.Fatal("the proxy does not become ready")
	}
}

// signal sends one to the main process, and returns its number.
func (s *supervisor) signal(what syscall.Signal) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := syscall.Kill(s.main, what); err != nil {
		s.t.Error(err)
	}
	return s.main
}

// kept names what is in the store.
func (s *supervisor) kept() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, it := range s.store {
		names = append(names, it.name)
	}
	slices.Sort(names)
	return names
}

// gone waits until a process has ended.
func (s *supervisor) gone(pid int, most time.Duration) bool {
	for until := time.Now().Add(most); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		there := slices.Contains(s.all, pid)
		s.mu.Unlock()
		if !there {
			return true
		}
	}
	return false
}

func (s *supervisor) client() *Client { return NewClient(s.dir, os.Getgid()) }

func (s *supervisor) door(gateway string) string { return filepath.Join(s.dir, gateway, doorName) }
