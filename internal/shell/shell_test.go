package shell

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/internal/testsshd"
)

// newKey returns a private key, and its public one.
func newKey(t *testing.T) (private, public string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), testsshd.Line(signer.PublicKey())
}

func TestRun(t *testing.T) {
	private, public := newKey(t)
	server := testsshd.Start(t, func(command, stdin string) (string, string, uint32) {
		if strings.Contains(stdin, "exit 3") {
			return "partly\n", "the cause\n", 3
		}
		return command + ": " + stdin + "\n", "a warning", 0
	})
	server.Accept(public)
	for _, c := range []struct{ name, user, script, want, wrong string }{
		{"as root", "root", "script", "bash -s -- word: script", ""},
		{"as another", "debian", "script", "sudo -n bash -s -- word: script", ""},
		{"a script that fails", "root", "exit 3", "", "Process exited with status 3: the cause"},
	} {
		t.Run(c.name, func(t *testing.T) {
			connected, err := Dial(t.Context(), Target{"127.0.0.1", server.Port, c.user, private, server.HostKey}, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer connected.Close()
			got, err := connected.Run(t.Context(), c.script, "word")
			if got != c.want || (err != nil || c.wrong != "") && (err == nil || err.Error() != c.wrong) {
				t.Errorf("got %q, %v; want %q, %s", got, err, c.want, c.wrong)
			}
		})
	}
}

func TestDialRefuses(t *testing.T) {
	private, public := newKey(t)
	stranger, strangersKey := newKey(t)
	server := testsshd.Start(t, nil)
	server.Accept(public)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	for _, c := range []struct {
		name    string
		target  Target
		want    string
		refused bool
	}{
		{"a key that is not accepted", Target{"127.0.0.1", server.Port, "root", stranger, server.HostKey}, "as root: the login key is refused", true},
		{"another host key", Target{"127.0.0.1", server.Port, "root", private, strangersKey}, "host key mismatch", false},
		{"nobody answers", Target{"127.0.0.1", nobody, "root", private, server.HostKey}, "connection refused", false},
		{"no private key", Target{"127.0.0.1", server.Port, "root", "planted", server.HostKey}, "it is not an unencrypted key", false},
		{"no host key", Target{"127.0.0.1", server.Port, "root", private, ""}, "reading the SSH host key", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			_, err := Dial(t.Context(), c.target, 1)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrRefused) != c.refused {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), "planted") {
				t.Errorf("the error shows what was given: %v", err)
			}
			if time.Since(started) > dialTimeout {
				t.Error("it waited")
			}
		})
	}
}
