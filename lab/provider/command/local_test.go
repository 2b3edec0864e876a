package command_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLocalRun(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	t.Setenv("LAB_INHERITED", "inherited")
	tests := map[string]struct {
		inputs         props
		stdout, stderr string
		err            string
		logs           []string
	}{
		"both outputs": {
			inputs: props{"create": str("echo out; echo err >&2")},
			stdout: "out", stderr: "err", logs: []string{"info: err", "info: out"},
		},
		"stdin, environment and directory": {
			inputs: props{
				"create": str("cat; echo $LAB_INHERITED $LAB_OWN; pwd"), "stdin": str("in\n"), "dir": str(dir),
				"environment": property.New(props{"LAB_OWN": str("own")}), "logging": str("none"),
			},
			stdout: "in\ninherited own\n" + dir,
		},
		"another interpreter": {
			inputs: props{
				"create": str("hello"), "logging": str("none"),
				"interpreter": property.New([]property.Value{str("printf"), str("%s %s"), str("well,")}),
			},
			stdout: "well, hello",
		},
		"failure": {
			inputs: props{"create": str("echo why >&2; exit 4"), "logging": str("none")},
			err:    "exit status 4: running \"echo why >&2; exit 4\":\nwhy\n",
		},
		"no such interpreter": {
			inputs: props{"create": str("x"), "interpreter": property.New([]property.Value{str("/nowhere")})},
			err:    "fork/exec /nowhere: no such file or directory: running \"x\":\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			id, state, err := e.create(t, t.Context(), localURN, test.inputs, false)
			assert.Equal(t, test.logs, e.logged())
			if test.err != "" {
				require.ErrorContains(t, err, "desc = "+test.err)
				return
			}
			require.NoError(t, err)
			assert.Regexp(t, "^build[0-9a-f]{8}$", id)
			assert.Equal(t, test.stdout, state.Get("stdout").AsString())
			assert.Equal(t, test.stderr, state.Get("stderr").AsString())
		})
	}
}

func TestLocalLifeCycle(t *testing.T) {
	e := newEngine(t)
	file := filepath.Join(t.TempDir(), "made")
	inputs := props{
		"create": str("echo made | tee " + file),
		"update": str("echo again $PULUMI_COMMAND_STDOUT"),
		"delete": str("rm " + file),
		"stdin":  str("hunter2").WithSecret(true),
	}

	_, planned, err := e.create(t, t.Context(), localURN, inputs, true)
	require.NoError(t, err)
	assert.True(t, planned.Get("stdout").IsComputed())
	assert.NoFileExists(t, file)

	_, state, err := e.create(t, t.Context(), localURN, inputs, false)
	require.NoError(t, err)
	assert.FileExists(t, file)
	assert.True(t, state.Get("stdin").Secret())
	assert.False(t, state.Get("stdout").Secret())

	updated, err := e.update(t, localURN, state, inputs, inputs, false)
	require.NoError(t, err)
	assert.Equal(t, "again made", updated.Get("stdout").AsString())

	require.NoError(t, e.delete(t, localURN, updated, inputs))
	assert.NoFileExists(t, file)
}

func TestLocalCancel(t *testing.T) {
	e := newEngine(t)
	begun := filepath.Join(t.TempDir(), "begun")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := e.create(t, ctx, localURN, props{"create": str("touch " + begun + "; sleep 60")}, false)
		done <- err
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(begun)
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	cancel()
	select {
	case err := <-done:
		require.ErrorContains(t, err, "context canceled")
	case <-time.After(10 * time.Second):
		t.Fatal("the command was not ended")
	}
}

func TestLocalCheck(t *testing.T) {
	e := newEngine(t)
	paths := property.New([]property.Value{str("*")})
	_, failures := e.check(t, localURN, props{"create": str("true"), "assetPaths": paths, "archivePaths": paths})
	assert.Equal(t, []string{
		"archivePaths: the stand-in collects no files",
		"assetPaths: the stand-in collects no files",
	}, failures)
}
