package agent

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/internal/shell"
	"github.com/clawft/infra/internal/testsshd"
)

// machine is a host whose library is a directory here.
type machine struct {
	library string
	shell   *shell.Shell
}

// newMachine is one that says it is of an architecture.
func newMachine(t *testing.T, uname string) *machine {
	t.Helper()
	m := &machine{library: filepath.Join(t.TempDir(), "lib", "clawft")}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "uname"), []byte("#!/bin/sh\necho "+uname+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := testsshd.Start(t, func(command, stdin string) (string, string, uint32) {
		run := exec.Command("sh", "-c", command)
		run.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		run.Stdin = strings.NewReader(strings.Replace(stdin, Directory, m.library, 1))
		var out, complaints bytes.Buffer
		run.Stdout, run.Stderr = &out, &complaints
		if err := run.Run(); err != nil {
			return out.String(), complaints.String(), 1
		}
		return out.String(), complaints.String(), 0
	})
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
	server.Accept(testsshd.Line(signer.PublicKey()))
	m.shell, err = shell.Dial(t.Context(), shell.Target{
		Host: "127.0.0.1", Port: server.Port, User: "root", PrivateKey: string(pem.EncodeToMemory(block)), HostKey: server.HostKey,
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.shell.Close)
	return m
}

// has returns the program that the machine keeps for a source, and fails on anything beside it.
func (m *machine) has(t *testing.T, source string) string {
	t.Helper()
	// What is no directory has nothing either.
	entries, _ := os.ReadDir(filepath.Join(m.library, source))
	for _, entry := range entries {
		if entry.Name() != "clawft-host" {
			t.Errorf("%s is left behind", entry.Name())
		}
	}
	content, _ := os.ReadFile(filepath.Join(m.library, source, "clawft-host"))
	return string(content)
}

// said collects what a delivery says.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *said) count(word string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(strings.Join(s.lines, "\n"), word)
}

func deliverer(t *testing.T) *Deliverer {
	t.Helper()
	compiled, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(compiled)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := checkout(t)
	source, err := Source(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &Deliverer{Root: dir, Source: source}
}

func TestDeliver(t *testing.T) {
	d := deliverer(t)
	names := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}
	first, second := newMachine(t, names[runtime.GOARCH]), newMachine(t, names[runtime.GOARCH])
	var said said
	var both sync.WaitGroup
	for _, m := range []*machine{first, second} {
		both.Go(func() {
			if err := d.Deliver(t.Context(), m.shell, said.say); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if got := said.count("built clawft-host"); got != 1 {
		t.Errorf("it was built %d times for two hosts", got)
	}
	for _, m := range []*machine{first, second} {
		if err := exec.Command(filepath.Join(m.library, d.Source, "clawft-host")).Run(); err != nil {
			t.Errorf("what arrived does not run: %v", err)
		}
		m.has(t, d.Source)
	}

	// Who has it is given nothing, and nothing is built for it.
	again := &Deliverer{Root: "nowhere", Source: d.Source}
	if err := again.Deliver(t.Context(), first.shell, said.say); err != nil {
		t.Error(err)
	}

	// Another machine that deploys has built it before.
	fresh := newMachine(t, names[runtime.GOARCH])
	cached := &Deliverer{Root: d.Root, Source: d.Source}
	if err := cached.Deliver(t.Context(), fresh.shell, said.say); err != nil {
		t.Error(err)
	}
	if got := said.count("built clawft-host"); got != 1 {
		t.Errorf("it was built %d times, although it was kept", got)
	}

	// Another source of the same program is not uploaded.
	other := &Deliverer{Root: d.Root, Source: "0123456789abcdef", built: d.built}
	uploads := said.count("uploading")
	if err := other.Deliver(t.Context(), first.shell, said.say); err != nil {
		t.Error(err)
	}
	if first.has(t, other.Source) != first.has(t, d.Source) || said.count("uploading") != uploads {
		t.Error("the same program was uploaded again")
	}
}

func TestDeliverFails(t *testing.T) {
	for _, c := range []struct {
		name, uname string
		spoil       func(t *testing.T, d *Deliverer, m *machine)
		want        string
	}{
		{"an architecture that is not supported", "riscv64", nil, `the machine's architecture is "riscv64"; x86_64 (amd64) and aarch64 (arm64) are supported`},
		{"a directory that is in the way", "x86_64", func(t *testing.T, _ *Deliverer, m *machine) {
			if err := os.MkdirAll(filepath.Dir(m.library), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(m.library, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "cannot be written: free some space, or mount it writable"},
		{"a program that was cut short", "x86_64", func(t *testing.T, d *Deliverer, _ *machine) {
			binary, err := pack([]byte(strings.Repeat("clawft-host", 1<<16)))
			if err != nil {
				t.Fatal(err)
			}
			binary.Packed = binary.Packed[:len(binary.Packed)/2]
			d.built = map[string]Binary{"amd64": binary}
		}, "clawft-host did not arrive whole"},
		{"another program", "x86_64", func(t *testing.T, d *Deliverer, _ *machine) {
			binary, err := pack([]byte("else"))
			if err != nil {
				t.Fatal(err)
			}
			binary.SHA256 = strings.Repeat("0", 64)
			d.built = map[string]Binary{"amd64": binary}
		}, "what arrived as clawft-host is something else"},
		{"sources that do not compile", "x86_64", func(t *testing.T, d *Deliverer, _ *machine) {
			if err := os.WriteFile(filepath.Join(d.Root, "host", "main.go"), []byte("package main\n\nfunc main() { wrong }\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "undefined: wrong"},
		{"sources that changed meanwhile", "x86_64", func(_ *testing.T, d *Deliverer, _ *machine) {
			d.Source = "0123456789abcdef"
		}, "the sources of clawft-host were changed while it was built"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, m := deliverer(t), newMachine(t, c.uname)
			if c.spoil != nil {
				c.spoil(t, d, m)
			}
			err := d.Deliver(t.Context(), m.shell, func(string) {})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if got := m.has(t, d.Source); got != "" {
				t.Errorf("the host has %.20q", got)
			}
		})
	}
}

// What a killed build or a full disk left in the cache is no program.
func TestDamagedCacheIsBuiltAgain(t *testing.T) {
	d := deliverer(t)
	if _, err := Build(t.Context(), d.Root, d.Source, "arm64", func(string) {}); err != nil {
		t.Fatal(err)
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(caches, "clawft", "host", d.Source+"-arm64.gz")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:len(content)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	var said said
	if _, err := Build(t.Context(), d.Root, d.Source, "arm64", said.say); err != nil || said.count("built") != 1 {
		t.Errorf("%v, %q", err, said.lines)
	}
	if left, _ := filepath.Glob(filepath.Join(caches, "clawft", "host", ".build-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Two machines make the same program of the same sources.
func TestBuildIsReproducible(t *testing.T) {
	var sums []string
	for range 2 {
		d := deliverer(t)
		binary, err := Build(t.Context(), d.Root, d.Source, "arm64", func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, binary.SHA256)
	}
	if sums[0] != sums[1] {
		t.Errorf("the programs are %s and %s", sums[0], sums[1])
	}
}
