package e2e

import (
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/lab/site"
)

// newLogin makes another login key, in a file, and returns the public one and that of
// the lab's, with which the tests log in.
func newLogin(t *testing.T) (file, public, oldPublic string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	file = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(filepath.Join(site.Dir(tested.root, labName), "ssh", "id_ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	oldSigner, err := ssh.ParsePrivateKey(old)
	if err != nil {
		t.Fatal(err)
	}
	oldPublic = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(oldSigner.PublicKey())))
	return file, public, oldPublic
}

// loginKeys changes the login key in one step, as somebody would whose old one is
// still accepted, and goes back to it.
func loginKeys(t *testing.T) {
	before := startTimes(t)
	file, public, oldPublic := newLogin(t)

	// The tests themselves log in with the old one.
	output := tested.must(t, up("--version", first, "--set-secret", "clawft:sshPrivateKey="+file, "--set", "clawft:ssh.authorizedKeys[0]="+oldPublic+" the tests")...)
	if strings.Contains(output, "REPLACE") || strings.Contains(output, " deleted") {
		t.Errorf("a changed login key replaced something:\n%s", output)
	}
	for host, path := range map[string]string{"gw-1": "/root/.ssh/authorized_keys", "gw-2": "/home/debian/.ssh/authorized_keys"} {
		if got := tested.onHost(t, host, "sed -n '/^# BEGIN clawft/,/^# END clawft/p' "+path+" | grep -v '^#'"); got != public+"\n"+oldPublic+" the tests\n" {
			t.Errorf("the keys on %s are\n%s", host, got)
		}
	}

	tested.must(t, up("--version", first)...)
	// What the server was created with is accepted no longer, nor what left.
	if got := tested.onHost(t, "gw-1", "grep -v '^#' /root/.ssh/authorized_keys"); got != oldPublic+"\n" {
		t.Errorf("the keys on gw-1 are\n%s", got)
	}
	if after := startTimes(t); after != before {
		t.Errorf("a changed login key restarted gateways: started %s before, %s after", before, after)
	}
}

// resized changes the server's type, for which its power is cut, in one run with the
// login key, and goes back in one run too.
func resized(t *testing.T) {
	larger := map[string]string{"amd64": "cx33", "arm64": "cax21"}[runtime.GOARCH]
	file, _, oldPublic := newLogin(t)
	for _, flags := range [][]string{{
		"--set", "clawft:hosts[0].hcloud.type=" + larger,
		"--set-secret", "clawft:sshPrivateKey=" + file, "--set", "clawft:ssh.authorizedKeys[0]=" + oldPublic + " the tests",
	}, nil} {
		since := strings.TrimSpace(tested.onHost(t, "gw-1", "date +%s"))
		output := tested.must(t, append(up("--version", first), flags...)...)
		wantContains(t, output, "gw-1-server (serverType)", "healthy on gw-1")
		journal := tested.onHost(t, "gw-1", "journalctl --unit clawft --output cat --since @"+since)
		ended := strings.Index(journal, "gateway shutdown complete")
		started := strings.LastIndex(journal, "starting weft gateway")
		if ended < 0 || started < ended {
			t.Errorf("the gateway did not end before the power was cut:\n%s", journal)
		}
	}
	tested.wantVersion(t, first)
}
