package e2e

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clawft/infra/lab/site"
)

// secretPlant is a value that must not appear anywhere in plain text but in the
// hosts' gateway.env, which only root reads, and in the gateway's environment.
type secretPlant struct {
	value, file string

	mu    sync.Mutex
	leaks []string
	stop  chan struct{}
	done  sync.WaitGroup
}

func plantSecret(t *testing.T) *secretPlant {
	t.Helper()
	plant := &secretPlant{value: "canary-" + rand.Text(), file: filepath.Join(t.TempDir(), "canary"), stop: make(chan struct{})}
	if err := os.WriteFile(plant.file, []byte(plant.value), 0o600); err != nil {
		t.Fatal(err)
	}
	return plant
}

func (p *secretPlant) arguments(args ...string) []string {
	return append(args, "--set-secret", "clawft:secrets.XAI_API_KEY="+p.file)
}

// watch looks at the command lines of all processes, those in the machines
// among them, until check.
func (p *secretPlant) watch(t *testing.T, args ...string) []string {
	t.Helper()
	p.done.Go(func() {
		for {
			select {
			case <-p.stop:
				return
			case <-time.After(50 * time.Millisecond):
				p.readCommandLines()
			}
		}
	})
	return p.arguments(args...)
}

func (p *secretPlant) readCommandLines() {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return
	}
	for _, path := range lines {
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(p.value)) {
			p.mu.Lock()
			p.leaks = append(p.leaks, "a command line: "+strings.ReplaceAll(string(content), "\x00", " "))
			p.mu.Unlock()
		}
	}
}

func (p *secretPlant) check(t *testing.T) {
	output := tested.must(t, p.arguments("preview", "--version", second)...)
	close(p.stop)
	p.done.Wait()
	for _, leak := range p.leaks {
		t.Error("the secret is in", leak)
	}
	if strings.Contains(output, p.value) {
		t.Errorf("the secret is in a preview:\n%s", output)
	}
	p.searchFiles(t, site.Dir(tested.root, labName))
	p.searchHosts(t)
}

// searchFiles looks into everything that the lab keeps: state, settings, logs,
// user-data, the registry's blobs and their unpacked content.
func (p *secretPlant) searchFiles(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(content, []byte(p.value)) || bytes.Contains(unzip(content), []byte(p.value)) {
			t.Errorf("the secret is in %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("searched %d files", files)
}

// unzip returns gzip's content, or nothing.
func unzip(content []byte) []byte {
	if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		return nil
	}
	gzip := exec.Command("gzip", "--decompress", "--stdout")
	gzip.Stdin = bytes.NewReader(content)
	plain, err := gzip.Output()
	if err != nil {
		return nil
	}
	return plain
}

// searchHosts looks into all files of the hosts and at their journal.
func (p *secretPlant) searchHosts(t *testing.T) {
	t.Helper()
	for _, host := range tested.hosts(t).All() {
		// The value goes over standard input: as an argument it would be in a
		// command line itself.
		found := tested.onHostWith(t, host.Name, `sh -c 'read -r canary; printf "%s" "$canary" > /dev/shm/canary;
grep --recursive --files-with-matches --fixed-strings --file=/dev/shm/canary --exclude-dir=proc --exclude-dir=sys --exclude-dir=overlay2 --exclude=canary / 2>/dev/null | xargs --no-run-if-empty stat --format="%a %U %n";
journalctl --no-pager | grep --quiet --fixed-strings --file=/dev/shm/canary && echo journal;
rm /dev/shm/canary; true'`, p.value+"\n")
		lines := strings.Split(strings.TrimSpace(found), "\n")
		env := 0
		for _, line := range lines {
			switch {
			case line == "":
			case strings.HasPrefix(line, "600 root /opt/clawft/releases/") && strings.HasSuffix(line, "/gateway.env"):
				env++
			// The engine's record of the gateway's own environment.
			case strings.HasPrefix(line, "600 root /var/lib/docker/containers/") && strings.HasSuffix(line, "/config.v2.json"):
			default:
				t.Errorf("on %s the secret is in: %s", host.Name, line)
			}
		}
		if env == 0 {
			t.Errorf("on %s the secret did not reach the gateway's environment file; the search found: %q", host.Name, found)
		}
	}
}
