package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// dialTimeout bounds one try to connect, the handshake included.
	dialTimeout = 10 * time.Second
	// dialPause is between two tries.
	dialPause = 3 * time.Second
)

// ErrRefused is the error of a machine that answers and does not accept the key.
var ErrRefused = errors.New("the login key is refused")

// Target is a machine and who logs in to it.
type Target struct {
	Host string
	Port int
	User string
	// PrivateKey is in OpenSSH or PEM format.
	PrivateKey string
	// HostKey is the machine's public key, as in "ssh-ed25519 AAAA…". No other is accepted.
	HostKey string
}

// Shell is a connection to a machine. Close it.
type Shell struct {
	client *ssh.Client
	sudo   string
}

// Dial connects, trying so many times if the machine does not answer. A refused key is not tried again.
func Dial(ctx context.Context, to Target, tries int) (*Shell, error) {
	signer, err := ssh.ParsePrivateKey([]byte(to.PrivateKey))
	if err != nil {
		// The parser's error is left out: it can quote what was given.
		return nil, errors.New("reading the private key that logs in: it is not an unencrypted key in OpenSSH or PEM format")
	}
	hostKey, _, _, _, err := ssh.ParseAuthorizedKey([]byte(to.HostKey))
	if err != nil {
		return nil, fmt.Errorf("reading the SSH host key: %w", err)
	}
	config := &ssh.ClientConfig{
		User:              to.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   ssh.FixedHostKey(hostKey),
		HostKeyAlgorithms: []string{hostKey.Type()},
		Timeout:           dialTimeout,
	}
	address := net.JoinHostPort(to.Host, strconv.Itoa(to.Port))
	for try := 1; ; try++ {
		client, err := dial(ctx, address, config)
		if err == nil {
			shell := &Shell{client: client}
			if to.User != "root" {
				shell.sudo = "sudo -n "
			}
			return shell, nil
		}
		if strings.Contains(err.Error(), "unable to authenticate") {
			return nil, fmt.Errorf("logging in to %s as %s: %w", address, to.User, ErrRefused)
		}
		if try >= tries {
			return nil, fmt.Errorf("connecting to %s: %w", address, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to %s: %w", address, ctx.Err())
		case <-time.After(dialPause):
		}
	}
}

func dial(ctx context.Context, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// A machine that is booting may accept and say nothing.
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	client, channels, requests, err := ssh.NewClientConn(connection, address, config)
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	if err := connection.SetDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return ssh.NewClient(client, channels, requests), nil
}

// Close ends the connection.
func (s *Shell) Close() { s.client.Close() }

// Run runs a script in bash, as Command runs a command, with arguments.
func (s *Shell) Run(ctx context.Context, script string, arguments ...string) (string, error) {
	return s.Command(ctx, []byte(script), strings.Join(append([]string{"bash -s --"}, arguments...), " "))
}

// Feed runs a script as Run does, with content as what the script reads from standard input. The script's last
// line is one command that reads it, and exits: bash reads no further than that.
func (s *Shell) Feed(ctx context.Context, content []byte, script string, arguments ...string) error {
	_, err := s.Run(ctx, script+string(content), arguments...)
	return err
}

// Command runs a command, as root, with content as its standard input, and returns what it said. The error
// of one that fails holds what it said on standard error.
func (s *Shell) Command(ctx context.Context, stdin []byte, line string) (string, error) {
	session, err := s.client.NewSession()
	if err != nil {
		return "", fmt.Errorf("opening a session: %w", err)
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, s.Close)
	defer stop()
	var out, complaints bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(stdin), &out, &complaints
	err = session.Run(s.sudo + line)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(complaints.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
