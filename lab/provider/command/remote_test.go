package command_test

import (
	"context"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"google.golang.org/protobuf/types/known/emptypb"
)

// connection reaches the server with its key, and with changes made to that.
func (s *sshd) connection(changes props) property.Value {
	m := props{
		"host": str("127.0.0.1"), "port": property.New(float64(s.port)),
		"privateKey": str(s.clientKey), "hostKey": str(s.hostKey),
		"dialErrorLimit": property.New(2.0),
	}
	maps.Copy(m, changes)
	return property.New(m)
}

func (s *sshd) inputs(changes props) props {
	m := props{"connection": s.connection(nil)}
	maps.Copy(m, changes)
	return m
}

func TestRemoteRun(t *testing.T) {
	tests := map[string]struct {
		inputs         props
		noEnv          bool
		stdout, stderr string
		err            string
		logs           []string
	}{
		"both outputs, each without its last newline": {
			inputs: props{"create": str("echo out; echo; echo err >&2")},
			stdout: "out\n", stderr: "err",
			logs: []string{"info: ", "info: err", "info: out"},
		},
		"a line without an end is logged": {
			inputs: props{"create": str("printf one; sleep 0.1; printf ' two'")},
			stdout: "one two", logs: []string{"info: one two"},
		},
		"only stdout logged": {
			inputs: props{"create": str("echo out; echo err >&2"), "logging": str("stdout")},
			stdout: "out", stderr: "err", logs: []string{"info: out"},
		},
		"only stderr logged": {
			inputs: props{"create": str("echo out; echo err >&2"), "logging": str("stderr")},
			stdout: "out", stderr: "err", logs: []string{"info: err"},
		},
		"nothing logged": {
			inputs: props{"create": str("echo out; echo err >&2"), "logging": str("none")},
			stdout: "out", stderr: "err",
		},
		"a line longer than any buffer": {
			inputs: props{"create": str("head -c 200000 /dev/zero | tr '\\0' x"), "logging": str("stderr")},
			stdout: strings.Repeat("x", 200000),
		},
		"stdin": {
			inputs: props{"create": str("cat"), "stdin": str("from stdin\n")},
			stdout: "from stdin", logs: []string{"info: from stdin"},
		},
		"environment": {
			inputs: props{"create": str("echo $LAB_A-$LAB_B"), "environment": property.New(props{"LAB_A": str("a b"), "LAB_B": str("c")})},
			stdout: "a b-c", logs: []string{"info: a b-c"},
		},
		"environment that sshd refuses": {
			inputs: props{"create": str("true"), "environment": property.New(props{"PATH": str("/")})},
			err:    `could not set environment variable "PATH": ssh: setenv failed`,
			logs: []string{"error: Unable to set 'PATH': the SSH server accepts only the variables in its AcceptEnv. " +
				"With a shell on the remote side, write 'VAR=value command' instead."},
		},
		"failure shows the command and all it printed": {
			inputs: props{"create": str("echo out; sleep 0.1; echo err >&2; exit 3"), "logging": str("none")},
			err:    "Process exited with status 3: running \"echo out; sleep 0.1; echo err >&2; exit 3\":\nout\nerr\n",
		},
		"nothing to run": {inputs: props{"update": str("false")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server, e := newSSHD(t), newEngine(t)
			id, state, err := e.create(t, t.Context(), remoteURN, server.inputs(test.inputs), false)
			assert.Equal(t, test.logs, e.logged())
			if test.err != "" {
				require.Error(t, err)
				assert.Contains(t, err.Error(), "desc = "+test.err)
				return
			}
			require.NoError(t, err)
			assert.Regexp(t, "^deploy[0-9a-f]{8}$", id)
			assert.Equal(t, test.stdout, state.Get("stdout").AsString())
			assert.Equal(t, test.stderr, state.Get("stderr").AsString())
			assert.True(t, state.Get("connection").Secret(), "the connection is secret")
		})
	}
}

func TestRemoteLifeCycle(t *testing.T) {
	server, e := newSSHD(t), newEngine(t)
	inputs := server.inputs(props{
		"create": str("echo created after $PULUMI_COMMAND_STDOUT; echo warned >&2"),
		"delete": str("echo deleted after $PULUMI_COMMAND_STDOUT and $PULUMI_COMMAND_STDERR"),
	})
	with := func(changes props) props {
		m := maps.Clone(inputs)
		maps.Copy(m, changes)
		return m
	}
	_, state, err := e.create(t, t.Context(), remoteURN, inputs, false)
	require.NoError(t, err)
	require.Equal(t, "created after", state.Get("stdout").AsString())
	e.logged()

	t.Run("an update falls back to create, and sees the last output", func(t *testing.T) {
		got, err := e.update(t, remoteURN, state, inputs, with(props{"logging": str("none")}), false)
		require.NoError(t, err)
		assert.Equal(t, "created after created after", got.Get("stdout").AsString())
	})
	t.Run("update has a command of its own", func(t *testing.T) {
		got, err := e.update(t, remoteURN, state, inputs, with(props{"update": str("echo updated")}), false)
		require.NoError(t, err)
		assert.Equal(t, "updated", got.Get("stdout").AsString())
		assert.Empty(t, got.Get("stderr").AsString())
	})
	t.Run("without the last output", func(t *testing.T) {
		got, err := e.update(t, remoteURN, state, inputs, with(props{"addPreviousOutputInEnv": property.New(false)}), false)
		require.NoError(t, err)
		assert.Equal(t, "created after", got.Get("stdout").AsString())
	})
	t.Run("nothing to run keeps the output", func(t *testing.T) {
		got, err := e.update(t, remoteURN, state, inputs, server.inputs(nil), false)
		require.NoError(t, err)
		assert.Equal(t, "created after", got.Get("stdout").AsString())
	})
	t.Run("refused last output is only a warning", func(t *testing.T) {
		e.logged()
		server.acceptsEnv.Store(false)
		defer server.acceptsEnv.Store(true)
		got, err := e.update(t, remoteURN, state, inputs, with(props{"logging": str("none")}), false)
		require.NoError(t, err)
		assert.Equal(t, "created after", got.Get("stdout").AsString())
		logs := e.logged()
		require.Len(t, logs, 2)
		assert.Contains(t, logs[0], "warning: Unable to set 'PULUMI_COMMAND_STDERR'")
		assert.Contains(t, logs[1], "warning: Unable to set 'PULUMI_COMMAND_STDOUT'")
	})
	t.Run("delete", func(t *testing.T) {
		e.logged()
		require.NoError(t, e.delete(t, remoteURN, state, inputs))
		assert.Equal(t, []string{"info: deleted after created after and warned"}, e.logged())
	})
	t.Run("delete fails", func(t *testing.T) {
		err := e.delete(t, remoteURN, state, with(props{"delete": str("exit 1")}))
		require.ErrorContains(t, err, `Process exited with status 1: running "exit 1":`)
	})
	t.Run("a preview does not even connect", func(t *testing.T) {
		before := server.dials.Load()
		_, planned, err := e.create(t, t.Context(), remoteURN, inputs, true)
		require.NoError(t, err)
		assert.True(t, planned.Get("stdout").IsComputed())
		assert.Equal(t, inputs["create"], planned.Get("create"))
		planned, err = e.update(t, remoteURN, state, inputs, with(props{"stdin": str("x")}), true)
		require.NoError(t, err)
		assert.True(t, planned.Get("stdout").IsComputed())
		assert.Equal(t, before, server.dials.Load())
	})
}

func TestRemoteDiff(t *testing.T) {
	server, e := newSSHD(t), newEngine(t)
	triggers := func(s string) property.Value { return property.New([]property.Value{str(s)}) }
	old := server.inputs(props{"create": str("true"), "triggers": triggers("1")})
	tests := map[string]struct {
		changes  props
		diffs    []string
		replaces []string
	}{
		"nothing":                         {},
		"a default written out":           {changes: props{"connection": server.connection(props{"user": str("root")})}},
		"triggers replace":                {changes: props{"triggers": triggers("2")}, diffs: []string{"triggers"}, replaces: []string{"triggers"}},
		"a changed connection is a run":   {changes: props{"connection": server.connection(props{"dialErrorLimit": property.New(3.0)})}, diffs: []string{"connection"}},
		"a changed environment is a run":  {changes: props{"environment": property.New(props{"A": str("b")})}, diffs: []string{"environment"}},
		"a changed create is a run":       {changes: props{"create": str("false")}, diffs: []string{"create"}},
		"a changed delete is a run too":   {changes: props{"delete": str("false")}, diffs: []string{"delete"}},
		"a changed logging is a run, too": {changes: props{"logging": str("none")}, diffs: []string{"logging"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inputs := maps.Clone(old)
			maps.Copy(inputs, test.changes)
			got := e.diff(t, remoteURN, old, inputs)
			assert.Equal(t, test.diffs, got.GetDiffs())
			assert.Equal(t, test.replaces, got.GetReplaces())
			assert.Equal(t, len(test.diffs) > 0, got.GetChanges() == rpc.DiffResponse_DIFF_SOME)
		})
	}
}

func TestRemoteCheck(t *testing.T) {
	e := newEngine(t)
	got, failures := e.check(t, remoteURN, props{
		"connection": property.New(props{"host": str("h"), "proxy": property.New(props{"host": str("p"), "user": str("jump")})}),
	})
	require.Empty(t, failures)
	defaults := func(changes props) props {
		m := props{
			"user": str("root"), "port": property.New(22.0),
			"dialErrorLimit": property.New(10.0), "perDialTimeout": property.New(15.0),
		}
		maps.Copy(m, changes)
		return m
	}
	assert.Equal(t, property.New(defaults(props{
		"host": str("h"), "proxy": property.New(defaults(props{"host": str("p"), "user": str("jump")})),
	})).WithSecret(true), got.Get("connection"))

	_, failures = e.check(t, remoteURN, props{
		"connection": property.New(props{"hostname": str("h")}), "run": str("true"),
	})
	assert.Equal(t, []string{
		`connection.hostname: unknown property "hostname", known are: agentSocketPath, dialErrorLimit, host, hostKey, ` +
			`password, perDialTimeout, port, privateKey, privateKeyPassword, proxy, user`,
		`connection.host: missing required property "host"`,
		`run: unknown property "run", known are: addPreviousOutputInEnv, connection, create, delete, environment, ` +
			`logging, stdin, triggers, update`,
	}, failures)

	_, failures = e.check(t, remoteURN, props{"connection": property.New(props{"host": str("h")}), "logging": str("all")})
	assert.Equal(t, []string{`logging: "all" is not one of stdout, stderr, stdoutAndStderr, none`}, failures)
}

// startAgent serves an SSH agent that holds key, and returns its socket.
func startAgent(t *testing.T, key string) string {
	private, err := ssh.ParseRawPrivateKey([]byte(key))
	require.NoError(t, err)
	keys := agent.NewKeyring()
	require.NoError(t, keys.Add(agent.AddedKey{PrivateKey: private}))
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "agent"))
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keys, conn) }()
		}
	}()
	return listener.Addr().String()
}

func TestRemoteConnection(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	server := newSSHD(t)
	otherHost := newSSHD(t)
	otherKey := newSSHD(t).clientKey
	tests := map[string]struct {
		changes props
		refuse  int32
		dials   int32
		err     string
		logs    []string
	}{
		"key and pinned host key": {dials: 1},
		"password": {
			changes: props{"privateKey": {}, "password": str("open sesame")}, dials: 1,
		},
		"key in an agent": {
			changes: props{"privateKey": {}, "agentSocketPath": str(startAgent(t, server.clientKey))}, dials: 1,
		},
		"agent that is not there": {
			changes: props{"agentSocketPath": str("/nowhere")},
			err:     "dial unix /nowhere: connect: no such file or directory",
		},
		"host key that is not the server's": {
			changes: props{"hostKey": str(otherHost.hostKey), "dialErrorLimit": property.New(0.0)}, dials: 1,
			err: "after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch",
		},
		"no host key pinned, as the plugin allows": {changes: props{"hostKey": {}}, dials: 1},
		"host key that is none": {
			changes: props{"hostKey": str("ssh-ed25519 nonsense")},
			err:     "failed to parse host key: ssh: no key found",
		},
		"key that is not let in": {
			changes: props{"privateKey": str(otherKey), "dialErrorLimit": property.New(0.0)}, dials: 1,
			err: "after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain",
		},
		"key that is none": {
			changes: props{"privateKey": str("hunter2")}, err: "ssh: no key found",
		},
		"two failures are survived with a limit of two": {
			refuse: 2, dials: 3,
			logs: []string{"info: Dial 1/2 failed: retrying", "info: Dial 2/2 failed: retrying"},
		},
		"three are not": {
			refuse: 3, dials: 3, err: "after 2 failed attempts: ssh: handshake failed: ",
			logs: []string{"info: Dial 1/2 failed: retrying", "info: Dial 2/2 failed: retrying"},
		},
		"without a limit": {
			changes: props{"dialErrorLimit": property.New(-1.0)}, refuse: 3, dials: 4,
			logs: []string{"info: Dial 1/inf failed: retrying", "info: Dial 2/inf failed: retrying", "info: Dial 3/inf failed: retrying"},
		},
		"through a proxy": {
			changes: props{"proxy": otherHost.connection(nil)}, dials: 1,
		},
		"through a proxy with another host key": {
			changes: props{"proxy": otherHost.connection(props{"hostKey": str(server.hostKey), "dialErrorLimit": property.New(0.0)})},
			err:     "proxy: after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			server.refuse.Store(test.refuse)
			server.dials.Store(0)
			_, state, err := e.create(t, t.Context(), remoteURN, props{
				"connection": server.connection(test.changes), "create": str("echo in"), "logging": str("none"),
			}, false)
			assert.Equal(t, test.dials, server.dials.Load())
			assert.Equal(t, test.logs, e.logged())
			if test.err != "" {
				require.ErrorContains(t, err, "desc = "+test.err)
				assert.NotContains(t, err.Error(), "hunter2")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "in", state.Get("stdout").AsString())
		})
	}
}

func TestRemoteCancel(t *testing.T) {
	within := func(t *testing.T, what string, done <-chan struct{}) {
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Fatal("still waiting for " + what)
		}
	}
	cancelled := func(t *testing.T, e *engine, ctx context.Context, inputs props, when func()) error {
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _, err = e.create(t, ctx, remoteURN, inputs, false)
		}()
		when()
		_, cancelErr := e.provider.Cancel(t.Context(), &emptypb.Empty{})
		require.NoError(t, cancelErr)
		within(t, "the call", done)
		return err
	}

	t.Run("while a command runs", func(t *testing.T) {
		server, e := newSSHD(t), newEngine(t)
		err := cancelled(t, e, t.Context(), server.inputs(props{"create": str("echo begun; sleep 60")}), func() {
			require.Eventually(t, func() bool { return len(e.logged()) > 0 }, 10*time.Second, 5*time.Millisecond)
		})
		require.ErrorContains(t, err, `context canceled: running "echo begun; sleep 60":`+"\nbegun\n")
		within(t, "the server to notice", server.hangups)
	})
	t.Run("while waiting for the next attempt", func(t *testing.T) {
		server, e := newSSHD(t), newEngine(t)
		server.refuse.Store(1 << 20)
		inputs := props{"create": str("true"), "connection": server.connection(props{"dialErrorLimit": property.New(-1.0)})}
		err := cancelled(t, e, t.Context(), inputs, func() {
			require.Eventually(t, func() bool { return server.dials.Load() > 1 }, 10*time.Second, 5*time.Millisecond)
		})
		require.ErrorContains(t, err, "context canceled")
	})
}
