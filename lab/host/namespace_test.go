package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a machine of its own as far as the network is concerned.
type namespace struct {
	name string
	file *os.File
}

func newNamespace(t *testing.T, name string) *namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	go func() {
		// The thread ends with its goroutine, since it is never unlocked.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{nil, err}
			return
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		made <- result{file, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatalf("making network namespace %s: %v", name, r.err)
	}
	t.Cleanup(func() { r.file.Close() })
	ns := &namespace{name, r.file}
	ns.ip(t, "link set lo up")
	return ns
}

// as calls f on a thread of the namespace, whose sockets belong to the user.
func (ns *namespace) as(user int, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(fmt.Sprintf("entering namespace %s: %v", ns.name, err))
		}
		if user != 0 {
			if _, _, err := unix.RawSyscall(unix.SYS_SETFSUID, uintptr(user), 0, 0); err != 0 {
				panic(fmt.Sprintf("becoming user %d: %v", user, err))
			}
		}
		f()
	}()
	<-done
}

// do calls f in the namespace and ends the test if it fails.
func (ns *namespace) do(t *testing.T, f func() error) {
	t.Helper()
	var err error
	ns.as(0, func() { err = f() })
	if err != nil {
		t.Fatalf("%s: %v", ns.name, err)
	}
}

// ip runs the ip command in the namespace, once for each line.
func (ns *namespace) ip(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		ns.do(t, func() error {
			out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("ip %s: %w: %s", line, err, out)
			}
			return nil
		})
	}
}

// set writes a value below /proc/sys/net.
func (ns *namespace) set(t *testing.T, name, value string) {
	t.Helper()
	ns.do(t, func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o600) })
}

// connect lays a cable between an interface here and one there.
func (ns *namespace) connect(t *testing.T, here string, other *namespace, there string) {
	t.Helper()
	ns.ip(t, fmt.Sprintf("link add %s type veth peer name %s netns /proc/%d/fd/%d", here, there, os.Getpid(), other.file.Fd()),
		"link set "+here+" up")
	other.ip(t, "link set "+there+" up")
}

// serve answers on a port of every address, by TCP and UDP, until the test ends.
func (ns *namespace) serve(t *testing.T, port int) {
	t.Helper()
	ns.do(t, func() error {
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		t.Cleanup(func() { listener.Close() })
		go answerTCP(listener, ns.name)
		// One for each address, since an answer has to come from the one that was asked.
		addresses, err := net.InterfaceAddrs()
		if err != nil {
			return err
		}
		for _, address := range addresses {
			prefix := netip.MustParsePrefix(address.String())
			if prefix.Addr().Is6() && prefix.Addr().IsLinkLocalUnicast() {
				continue
			}
			packets, err := net.ListenPacket("udp", netip.AddrPortFrom(prefix.Addr(), uint16(port)).String())
			if err != nil {
				return err
			}
			t.Cleanup(func() { packets.Close() })
			go answerUDP(packets, ns.name)
		}
		return nil
	})
}

func answerTCP(listener net.Listener, name string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprint(conn, name)
		conn.Close()
	}
}

func answerUDP(packets net.PacketConn, name string) {
	buffer := make([]byte, 16)
	for {
		_, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return
		}
		packets.WriteTo([]byte(name), from) //nolint:errcheck // the other side notices
	}
}

// ask returns who answers at an address, or "" when nobody does.
func (ns *namespace) ask(user int, network string, to netip.AddrPort) string {
	const patience = 700 * time.Millisecond
	var answer string
	ns.as(user, func() {
		conn, err := net.DialTimeout(network, to.String(), patience)
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // Read fails
		if network == "udp" {
			conn.Write([]byte("?")) //nolint:errcheck // Read fails
		}
		buffer := make([]byte, 64)
		n, _ := conn.Read(buffer)
		answer = string(buffer[:n])
	})
	return answer
}
