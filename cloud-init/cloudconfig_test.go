package cloudinit

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testKey is shaped like a key; nothing accepts it.
var testKey = CloudConfigArgs{
	HostKeyPrivate: "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5LCBidXQgc2hhcGVkIGxpa2Ugb25l\nbm90IGEga2V5LCBidXQgc2hhcGVkIGxpa2Ugb25l\n-----END OPENSSH PRIVATE KEY-----\n",
	HostKeyPublic:  "ssh-ed25519 bm90IGEga2V5LCBidXQgc2hhcGVkIGxpa2Ugb25l gw-1\n",
	Login:          "ssh-ed25519 bm90IHRoaXMgb25lIGVpdGhlcg\n",
}

func TestCloudConfig(t *testing.T) {
	got, err := CloudConfig(testKey)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/cloud-config.yaml", got)
}

func TestCloudConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		args CloudConfigArgs
		want string
	}{
		{"a private key in PKCS 8", CloudConfigArgs{"-----BEGIN PRIVATE KEY-----\nsecret", testKey.HostKeyPublic, testKey.Login},
			"host key: the private key is not in OpenSSH's format (-----BEGIN OPENSSH PRIVATE KEY-----)"},
		{"an RSA key", CloudConfigArgs{testKey.HostKeyPrivate, "ssh-rsa AAAA", testKey.Login},
			"host key: the public key is not one line that begins with ssh-ed25519"},
		{"two public keys", CloudConfigArgs{testKey.HostKeyPrivate, "ssh-ed25519 AAAA\nssh-ed25519 BBBB", testKey.Login},
			"host key: the public key is not one line that begins with ssh-ed25519"},
		{"keys exchanged", CloudConfigArgs{testKey.HostKeyPublic, testKey.HostKeyPrivate, testKey.Login},
			"host key: the private key is not in OpenSSH's format (-----BEGIN OPENSSH PRIVATE KEY-----)"},
		{"nobody who logs in", CloudConfigArgs{testKey.HostKeyPrivate, testKey.HostKeyPublic, ""},
			"login key: it is not a public key, in one line without a comment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := CloudConfig(c.args)
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if got != "" {
				t.Errorf("it returned %q beside the error", got)
			}
		})
	}
}

// golden compares with a file that go test ./cloud-init -update rewrites.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test ./cloud-init -update rewrites it):\n%s", path, strings.TrimSpace(got))
	}
}
