package components

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func TestUnreachableHostsAreNamed(t *testing.T) {
	connection := resource.MakeSecret(resource.NewProperty(resource.PropertyMap{
		"host":       resource.NewProperty("192.0.2.7"),
		"port":       resource.NewProperty(2222.0),
		"user":       resource.NewProperty("debian"),
		"privateKey": resource.MakeSecret(resource.NewProperty(canary)),
	}))
	const (
		remedy = "\nIf the machine is gone for good, give it up: giveUp: true at gw-east-1 in clawft:hosts, then pulumi up (docs/hosts.md)."
		stays  = "\nIts gateway may still run there, with its secrets, so nothing was started in its place."
	)
	for _, test := range []struct{ name, operation, failure, want string }{
		{"a refused login", "create", "after 3 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain",
			"host gw-east-1: 192.0.2.7 refuses the login of user debian on port 2222 with the stack's SSH key: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain" + remedy},
		{"a machine that is off", "update", "after 3 failed attempts: dial tcp 192.0.2.7:2222: connect: no route to host",
			"host gw-east-1: 192.0.2.7 does not answer on port 2222 (user debian): dial tcp 192.0.2.7:2222: connect: no route to host" + remedy},
		{"a machine that is left", "delete", "after 3 failed attempts: dial tcp 192.0.2.7:2222: i/o timeout",
			"host gw-east-1: 192.0.2.7 does not answer on port 2222 (user debian): dial tcp 192.0.2.7:2222: i/o timeout" + stays + remedy},
		{"another machine", "update", "after 3 failed attempts: ssh: handshake failed: ssh: host key mismatch",
			"host gw-east-1: 192.0.2.7 port 2222 has another host key than the one that the stack knows: ssh: handshake failed: ssh: host key mismatch" + remedy},
		{"an agent that is gone", "update", "dial unix /tmp/ssh-XXXX/agent.1: connect: no such file or directory",
			"The environment variable SSH_AUTH_SOCK names an SSH agent that does not answer: dial unix /tmp/ssh-XXXX/agent.1: connect: no such file or directory" +
				"\nNothing was done on the host. The stack logs in with its own key: unset SSH_AUTH_SOCK, and run the same again."},
		{"a command that failed there", "create", "Process exited with status 1: running \"deploy\":\ndeploy failed: no", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := explainDial("gw-east-1-release", test.operation, targetOf(resource.PropertyMap{"connection": connection}), test.failure)
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if strings.Contains(got, canary) {
				t.Error("it shows the private key")
			}
		})
	}
}
