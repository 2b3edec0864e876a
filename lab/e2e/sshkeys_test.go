package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/internal/sshkey"
)

// sshKeys has a real sshd show a host key of each type, and log in with one: the
// configuration accepts what connects by the connections that the plugin makes,
// and refuses what does not.
func sshKeys(t *testing.T) {
	hosts := tested.hosts(t)
	host, err := hosts.Get("gw-2")
	if err != nil {
		t.Fatal(err)
	}
	for i, options := range []string{"-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521", "-t rsa -b 2048", "-t rsa -b 4096"} {
		t.Run(options, func(t *testing.T) {
			port := 2300 + i
			output := tested.onHostWith(t, "gw-2", "bash -s", fmt.Sprintf(`set -e
				d=$(mktemp -d /run/keys-XXXX)
				ssh-keygen -q -N '' %s -f $d/key
				systemd-run -q /usr/sbin/sshd -D -f /dev/null -p %d -h $d/key -o AuthorizedKeysFile=$d/key.pub -o StrictModes=no
				cat $d/key.pub $d/key`, options, port))
			public, private, _ := strings.Cut(output, "\n")
			key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
			if err != nil {
				t.Fatal(err)
			}
			login, refused := sshkey.Login(private)
			if refused != nil {
				t.Fatalf("the login key is refused: %+v", refused)
			}
			signer, err := ssh.ParsePrivateKey([]byte(login))
			if err != nil {
				t.Fatal(err)
			}
			_, refused = sshkey.Host(public)
			dial := func(pinned bool) error {
				config := &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(key), Timeout: 5 * time.Second}
				if pinned {
					config.HostKeyAlgorithms = []string{key.Type()}
				}
				for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
					client, err := ssh.Dial("tcp", net.JoinHostPort(host.Address, fmt.Sprint(port)), config)
					if err == nil {
						client.Close()
					}
					if err == nil || !strings.Contains(err.Error(), "refused") || time.Now().After(deadline) {
						return err
					}
				}
			}
			if err := dial(false); err != nil {
				t.Errorf("it does not log in: %v", err)
			}
			if err := dial(true); (err == nil) != (refused == nil) {
				t.Errorf("as host key, the connection says %v and the configuration %+v", err, refused)
			}
		})
	}
}
