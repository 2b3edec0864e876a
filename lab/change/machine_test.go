package change

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/internal/testsshd"
)

// machine is one that lets in whoever its file of keys has, and runs what keeps that
// file. Anything else that it is told to run only ends well.
type machine struct {
	*testsshd.Server

	t         *testing.T
	home, bin string

	mu sync.Mutex
	// ran are the commands since fail, the breaking-th of which fails: before
	// it has done anything, or after it.
	ran      []string
	breaking int
	after    bool
}

func newMachine(t *testing.T, login string) *machine {
	t.Helper()
	m := &machine{t: t, home: t.TempDir(), bin: t.TempDir()}
	me, err := user.Current()
	require.NoError(t, err)
	for name, script := range map[string]string{
		"getent": "echo '" + me.Username + ":x:" + me.Uid + ":" + me.Gid + "::" + m.home + ":/bin/sh'",
		"sshd":   "echo 'authorizedkeysfile .ssh/authorized_keys'",
		"sudo":   `shift; exec "$@"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	m.Server = testsshd.Start(t, m.run)
	require.NoError(t, os.Mkdir(filepath.Join(m.home, ".ssh"), 0o700))
	m.write(login + "\n")
	return m
}

func (m *machine) file() string { return filepath.Join(m.home, ".ssh", "authorized_keys") }

func (m *machine) read() string {
	text, err := os.ReadFile(m.file())
	require.NoError(m.t, err)
	return string(text)
}

func (m *machine) write(keys string) {
	require.NoError(m.t, os.WriteFile(m.file(), []byte(keys), 0o600))
	m.Accept(m.accepts()...)
}

// accepts are the keys in the file, sorted.
func (m *machine) accepts() []string {
	text := []byte(m.read())
	var keys []string
	for len(text) > 0 {
		key, _, _, rest, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			break
		}
		keys, text = append(keys, testsshd.Line(key)), rest
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// fail has the given command from now on fail, the first being 1; 0 is none.
func (m *machine) fail(breaking int, after bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ran, m.breaking, m.after = nil, breaking, after
}

func (m *machine) run(command, stdin string) (stdout, stderr string, status uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ran = append(m.ran, command)
	breaks := len(m.ran) == m.breaking
	if breaks && !m.after {
		return "", "broken", 1
	}
	switch command[strings.LastIndex(command, " ")+1:] {
	case "keep", "admit", "release":
		shell := exec.Command("bash", "-c", command)
		shell.Env = append(os.Environ(), "PATH="+m.bin+":"+os.Getenv("PATH"))
		shell.Stdin = strings.NewReader(stdin)
		if said, err := shell.CombinedOutput(); err != nil {
			return "", string(said), 1
		}
		m.Accept(m.accepts()...)
	}
	if breaks {
		return "", "broken", 1
	}
	return "{}", "", 0
}
