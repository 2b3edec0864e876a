package command

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// unlimited is the dialErrorLimit that never gives up.
const unlimited = -1

// endpoint is one hop: the host itself, or the proxy before it. The SDK's types
// for the two differ in nothing but the proxy.
type endpoint = remote.ProxyConnection

// withDefaults fills in what the plugin records for a connection.
func withDefaults(inputs property.Map) property.Map {
	connection := inputs.Get("connection")
	if !connection.IsMap() {
		return inputs
	}
	m := endpointDefaults(connection.AsMap())
	if proxy := m.Get("proxy"); proxy.IsMap() {
		m = m.Set("proxy", property.WithGoValue(proxy, endpointDefaults(proxy.AsMap())))
	}
	return inputs.Set("connection", property.WithGoValue(connection, m))
}

func endpointDefaults(m property.Map) property.Map {
	for name, value := range map[string]property.Value{
		"user":           property.New("root"),
		"port":           property.New(22.0),
		"dialErrorLimit": property.New(10.0),
		"perDialTimeout": property.New(15.0), // seconds, for the TCP connection
	} {
		if m.Get(name).IsNull() {
			m = m.Set(name, value)
		}
	}
	return m
}

func address(e endpoint) string {
	return net.JoinHostPort(e.Host, strconv.Itoa(int(*e.Port)))
}

// dial returns a client whose Close also closes the way to it.
func dial(ctx context.Context, host endpoint, proxy *endpoint) (*ssh.Client, error) {
	config, done, err := clientConfig(ctx, host)
	if err != nil {
		return nil, err
	}
	defer done()
	if proxy == nil {
		return attempt(ctx, "Dial", *host.DialErrorLimit, func() (*ssh.Client, error) {
			dialer := net.Dialer{Timeout: config.Timeout}
			conn, err := dialer.DialContext(ctx, "tcp", address(host))
			if err != nil {
				return nil, err
			}
			return handshake(ctx, conn, address(host), config)
		})
	}
	client, err := dialThrough(ctx, *proxy, host, config)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return client, nil
}

func dialThrough(ctx context.Context, proxy, host endpoint, config *ssh.ClientConfig) (*ssh.Client, error) {
	bastion, err := dial(ctx, proxy, nil)
	if err != nil {
		return nil, err
	}
	client, err := attempt(ctx, "Dial from proxy", *host.DialErrorLimit, func() (*ssh.Client, error) {
		conn, err := bastion.DialContext(ctx, "tcp", address(host))
		if err != nil {
			return nil, err
		}
		return handshake(ctx, conn, address(host), config)
	})
	if err != nil {
		bastion.Close()
		return nil, err
	}
	go func() {
		// The bastion's connection is of no use to anyone else.
		_ = client.Wait()
		bastion.Close()
	}()
	return client, nil
}

// handshake ends with ctx: x/crypto gives it no limit of its own.
func handshake(ctx context.Context, conn net.Conn, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	sshConn, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if !stop() {
		sshConn.Close()
		return nil, ctx.Err()
	}
	return ssh.NewClient(sshConn, channels, requests), nil
}

// clientConfig pins the host key when there is one. done lets go of the SSH
// agent, which is needed until the handshake is over.
func clientConfig(ctx context.Context, e endpoint) (config *ssh.ClientConfig, done func(), err error) {
	config = &ssh.ClientConfig{
		User:            *e.User,
		Timeout:         time.Duration(*e.PerDialTimeout) * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), //nolint:gosec // what the plugin does without a hostKey
	}
	if e.HostKey != nil {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(*e.HostKey))
		if err != nil {
			return nil, nil, fmt.Errorf("failed to parse host key: %w", err)
		}
		config.HostKeyCallback = ssh.FixedHostKey(key)
		config.HostKeyAlgorithms = []string{key.Type()}
	}

	if e.PrivateKey != nil {
		signer, err := signerOf(e)
		if err != nil {
			return nil, nil, err
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if e.Password != nil {
		config.Auth = append(config.Auth, ssh.Password(*e.Password), ssh.KeyboardInteractive(always(*e.Password)))
	}

	socket := os.Getenv("SSH_AUTH_SOCK")
	if e.AgentSocketPath != nil {
		socket = *e.AgentSocketPath
	}
	if socket == "" {
		return config, func() {}, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, err
	}
	config.Auth = append(config.Auth, ssh.PublicKeysCallback(agent.NewClient(conn).Signers))
	return config, func() { conn.Close() }, nil
}

func signerOf(e endpoint) (ssh.Signer, error) {
	if e.PrivateKeyPassword != nil {
		return ssh.ParsePrivateKeyWithPassphrase([]byte(*e.PrivateKey), []byte(*e.PrivateKeyPassword))
	}
	return ssh.ParsePrivateKey([]byte(*e.PrivateKey))
}

// always gives the same answer to whatever is asked.
func always(answer string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, _ []bool) ([]string, error) {
		return slices.Repeat([]string{answer}, len(questions)), nil
	}
}

// attempt repeats f until it succeeds, ctx ends, or it has failed more than
// limit times. The wait grows from 100 ms to 5 s.
func attempt[T any](ctx context.Context, what string, limit int, f func() (T, error)) (T, error) {
	var result T
	shownLimit := "inf"
	if limit != unlimited {
		shownLimit = strconv.Itoa(limit)
	}
	done, _, err := retry.Until(ctx, retry.Acceptor{
		Accept: func(try int, _ time.Duration) (bool, any, error) {
			var err error
			if result, err = f(); err == nil {
				return true, nil, nil
			}
			if ctx.Err() != nil {
				return false, nil, ctx.Err()
			}
			if limit > unlimited && try >= limit {
				return false, nil, fmt.Errorf("after %d failed attempts: %w", try, err)
			}
			p.GetLogger(ctx).InfoStatusf("%s %d/%s failed: retrying", what, try+1, shownLimit)
			return false, nil, nil
		},
	})
	if err == nil && !done {
		err = ctx.Err()
	}
	return result, err
}
