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
	return fmt.Sprintf(`#cloud-config
# Root logs in by key only.
disable_root: false
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
`, strings.ReplaceAll(private, "\n", "\n    "), public), nil
}
