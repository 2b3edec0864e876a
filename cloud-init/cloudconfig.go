package cloudinit

import (
	"errors"
	"fmt"
	"strings"
)

// CloudConfigArgs is what differs from server to server.
type CloudConfigArgs struct {
	// HostKeyPrivate and HostKeyPublic are the server's Ed25519 host key in OpenSSH's formats. The key
	// is known before the server exists, so that nobody has to trust one on first use.
	HostKeyPrivate string
	HostKeyPublic  string
	// Login is the public key, in OpenSSH's format, with which root logs in until the host's keys are
	// kept (AuthorizedKeys).
	Login string
}

// CloudConfig renders the cloud-config of a new server: what it needs to be reached over SSH, where all
// the rest is done. It is read at the first boot alone. It holds no secret but the host key.
func CloudConfig(a CloudConfigArgs) (string, error) {
	private := strings.TrimSpace(a.HostKeyPrivate)
	public := strings.TrimSpace(a.HostKeyPublic)
	// Never print what was given: it may be a private key in the wrong place.
	if !strings.HasPrefix(private, "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		return "", errors.New("host key: the private key is not in OpenSSH's format (-----BEGIN OPENSSH PRIVATE KEY-----)")
	}
	if !strings.HasPrefix(public, "ssh-ed25519 ") || strings.Contains(public, "\n") {
		return "", errors.New("host key: the public key is not one line that begins with ssh-ed25519")
	}
	login := strings.TrimSpace(a.Login)
	if fields := strings.Fields(login); len(fields) != 2 || strings.Contains(login, "\n") {
		return "", errors.New("login key: it is not a public key, in one line without a comment")
	}
	return fmt.Sprintf(`#cloud-config
# Root logs in, by key only, and nobody else does.
disable_root: false
users:
  - name: root
    ssh_authorized_keys:
      - %q
ssh_pwauth: false
runcmd:
  - [passwd, --lock, root]
# The one host key is the one that the stack knows.
ssh_deletekeys: true
ssh_genkeytypes: [ed25519]
ssh_keys:
  ed25519_private: |
    %s
  ed25519_public: %q
`, login+" "+untilKept, strings.ReplaceAll(private, "\n", "\n    "), public), nil
}
