package command_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// sshd runs commands with sh. It lets in the user "root" by its client key or
// by the password "open sesame", and accepts environment variables whose name
// starts with LAB_ or PULUMI_.
type sshd struct {
	port      int
	hostKey   string // in the form of an authorized_keys line
	clientKey string // private, OpenSSH PEM

	refuse     atomic.Int32 // connections to drop before answering
	acceptsEnv atomic.Bool
	dials      atomic.Int32
	hangups    chan struct{} // one for each command that lost its connection
}

func newSSHD(t *testing.T) *sshd {
	hostSigner, _ := newKey(t)
	clientSigner, clientKey := newKey(t)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if c.User() == "root" && string(key.Marshal()) == string(clientSigner.PublicKey().Marshal()) {
				return nil, nil
			}
			return nil, errors.New("unknown key")
		},
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if c.User() == "root" && string(password) == "open sesame" {
				return nil, nil
			}
			return nil, errors.New("wrong password")
		},
	}
	config.AddHostKey(hostSigner)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &sshd{
		port:      listener.Addr().(*net.TCPAddr).Port,
		hostKey:   string(ssh.MarshalAuthorizedKey(hostSigner.PublicKey())),
		clientKey: clientKey,
		hangups:   make(chan struct{}, 10),
	}
	s.acceptsEnv.Store(true)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.dials.Add(1)
			if s.refuse.Add(-1) >= 0 {
				conn.Close()
				continue
			}
			running.Go(func() { s.serve(conn, config) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return s
}

func newKey(t *testing.T) (ssh.Signer, string) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	require.NoError(t, err)
	return signer, string(pem.EncodeToMemory(block))
}

func (s *sshd) serve(raw net.Conn, config *ssh.ServerConfig) {
	defer raw.Close()
	conn, channels, requests, err := ssh.NewServerConn(raw, config)
	if err != nil {
		return
	}
	gone := make(chan struct{})
	go func() {
		_ = conn.Wait()
		close(gone)
	}()
	go ssh.DiscardRequests(requests)
	var running sync.WaitGroup
	defer running.Wait()
	for next := range channels {
		switch next.ChannelType() {
		case "session":
			channel, requests, err := next.Accept()
			if err == nil {
				running.Go(func() { s.session(channel, requests, gone) })
			}
		case "direct-tcpip":
			running.Go(func() { forward(next) })
		default:
			_ = next.Reject(ssh.UnknownChannelType, "")
		}
	}
}

func (s *sshd) session(channel ssh.Channel, requests <-chan *ssh.Request, gone <-chan struct{}) {
	defer channel.Close()
	var env []string
	for request := range requests {
		switch request.Type {
		case "env":
			var variable struct{ Name, Value string }
			_ = ssh.Unmarshal(request.Payload, &variable)
			known := strings.HasPrefix(variable.Name, "LAB_") || strings.HasPrefix(variable.Name, "PULUMI_")
			if known && s.acceptsEnv.Load() {
				env = append(env, variable.Name+"="+variable.Value)
			}
			_ = request.Reply(known && s.acceptsEnv.Load(), nil)
		case "exec":
			var command struct{ Line string }
			_ = ssh.Unmarshal(request.Payload, &command)
			_ = request.Reply(true, nil)
			s.exec(channel, command.Line, env, gone)
			return
		default:
			_ = request.Reply(false, nil)
		}
	}
}

func (s *sshd) exec(channel ssh.Channel, line string, env []string, gone <-chan struct{}) {
	cmd := exec.Command("sh", "-c", line)
	cmd.Env = slices.Concat([]string{"PATH=/usr/bin:/bin"}, env)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	if err := cmd.Start(); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(stdin, channel)
		stdin.Close()
	}()
	ended := make(chan struct{})
	go func() {
		select {
		case <-gone:
			// As sshd does: the whole process group loses its terminal.
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			s.hangups <- struct{}{}
		case <-ended:
		}
	}()
	_ = cmd.Wait()
	close(ended)
	status := struct{ Code uint32 }{uint32(cmd.ProcessState.ExitCode())}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
}

// forward is what makes this server a proxy.
func forward(next ssh.NewChannel) {
	var target struct {
		Host     string
		Port     uint32
		FromHost string
		FromPort uint32
	}
	_ = ssh.Unmarshal(next.ExtraData(), &target)
	out, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.ParseIP(target.Host), Port: int(target.Port)})
	if err != nil {
		_ = next.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer out.Close()
	channel, requests, err := next.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	go func() {
		_, _ = io.Copy(out, channel)
		_ = out.CloseWrite()
	}()
	_, _ = io.Copy(channel, out)
}
