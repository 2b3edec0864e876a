package components

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/internal/shell"
	"github.com/clawft/infra/internal/testsshd"
)

// serverInputs are those of a server of a type, with what else is given.
func serverInputs(kind string, more ...string) resource.PropertyMap {
	inputs := resource.PropertyMap{"name": resource.NewProperty("gw-1"), "serverType": resource.NewProperty(kind)}
	for i := 0; i < len(more); i += 2 {
		inputs[resource.PropertyKey(more[i])] = resource.NewProperty(more[i+1])
	}
	return inputs
}

// The gateway ends before a change that cuts the power and is awaited after it; no
// other change connects to the server.
func TestPower(t *testing.T) {
	private, public := keyPair(t, 21)
	stranger, _ := keyPair(t, 22)
	const before, after, failed = "before", "after", "failed"
	resize := [2]resource.PropertyMap{serverInputs("cx23"), serverInputs("cx33")}
	readdress := [2]resource.PropertyMap{serverInputs("cx23", "publicNets", "a"), serverInputs("cx23", "publicNets", "b")}
	relabel := [2]resource.PropertyMap{serverInputs("cx23", "labels", "a"), serverInputs("cx23", "labels", "b")}
	for _, test := range []struct {
		name, hook string
		change     [2]resource.PropertyMap
		// say is what the script on the server says as it fails.
		status, say string
		key         string
		dead        bool
		ran         []string
		wrong       []string
		logged      string
	}{
		{name: "before a resize", hook: before, change: resize, ran: []string{"off"}},
		{name: "after a resize", hook: after, change: resize, ran: []string{"on"}},
		{name: "before another address", hook: before, change: readdress, ran: []string{"off"}},
		{name: "after another address", hook: after, change: readdress, ran: []string{"on"}},
		{name: "before other labels", hook: before, change: relabel},
		{name: "after other labels", hook: after, change: relabel},
		{name: "when other labels failed", hook: failed, change: relabel},
		{name: "before a resize of a server that is off", hook: before, change: resize, status: "off"},
		{name: "a gateway that does not end", hook: before, change: resize, say: "clawft.service does not stop", ran: []string{"off"},
			wrong: []string{"cuts the power of server gw-1", "clawft.service does not stop", "The server was not changed"}},
		{name: "a gateway that is not back", hook: after, change: resize, say: "it is not healthy", ran: []string{"on"},
			wrong: []string{"server gw-1 was changed, and its gateway is not back", "it is not healthy", "systemctl restart clawft"}},
		{name: "a server that is dead", hook: before, change: resize, dead: true,
			wrong: []string{"cuts the power of server gw-1", "connection refused", "hcloud server poweroff gw-1, then pulumi up --refresh"}},
		{name: "a login that is refused", hook: before, change: resize, key: stranger,
			wrong: []string{"the login key is refused", "docs/keys.md"}},
		{name: "a resize that failed", hook: failed, change: resize, ran: []string{"on"}},
		{name: "a resize that failed, and a gateway that is not back", hook: failed, change: resize, say: "it is not healthy", ran: []string{"on"},
			logged: "Server gw-1 was not changed, and its gateway is not back"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ran []string
			server := testsshd.Start(t, func(command, stdin string) (string, string, uint32) {
				if stdin != cloudinit.Power() {
					t.Errorf("it ran another script: %.60q", stdin)
				}
				ran = append(ran, strings.TrimPrefix(command, "bash -s -- "))
				if test.say != "" {
					return "", test.say, 1
				}
				return "no gateway is installed", "", 0
			})
			server.Accept(public)
			target := shell.Target{Port: server.Port, User: "root", HostKey: server.HostKey, PrivateKey: private}
			if test.key != "" {
				target.PrivateKey = test.key
			}
			if test.dead {
				target.Port = freePort(t)
			}
			status := test.status
			if status == "" {
				status = "running"
			}
			outputs := resource.PropertyMap{"ipv4Address": resource.NewProperty("127.0.0.1"), "status": resource.NewProperty(status)}
			r := newRecorder(t)
			var err error
			mustRun(t, r, func(ctx *pulumi.Context) error {
				p, registering := newPower(ctx, "access")
				if registering != nil {
					return registering
				}
				p.knows("gw-1-server", target)
				args := &pulumi.ResourceHookArgs{Name: "gw-1-server", OldInputs: test.change[0], NewInputs: test.change[1], OldOutputs: outputs, NewOutputs: outputs}
				switch test.hook {
				case before:
					err = p.before(args)
				case after:
					err = p.after(args)
				case failed:
					var again bool
					again, err = p.failed(&pulumi.ErrorHookArgs{Name: "gw-1-server", FailedOperation: "update",
						OldInputs: test.change[0], NewInputs: test.change[1], OldOutputs: outputs})
					if again {
						t.Error("a change that failed is tried again")
					}
				}
				return nil
			})
			if !slices.Equal(ran, test.ran) {
				t.Errorf("it ran %q, want %q", ran, test.ran)
			}
			said := strings.Join(r.Messages(), "\n")
			if (test.logged == "") != (said == "") || !strings.Contains(said, test.logged) {
				t.Errorf("it said %q, want %q", said, test.logged)
			}
			if err != nil {
				said += err.Error()
			}
			if (err != nil) != (test.wrong != nil) {
				t.Errorf("got %v, want %q", err, test.wrong)
			}
			for _, want := range test.wrong {
				if err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
			if strings.Contains(said, "PRIVATE KEY") {
				t.Error("it shows a private key")
			}
		})
	}
}

// freePort is one where nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// A server is changed with the login key of the run, so that is let in before.
func TestLoginKeyComesBeforeTheServer(t *testing.T) {
	r := newRecorder(t)
	mustRun(t, r, func(ctx *pulumi.Context) error {
		identity, err := NewIdentity(ctx, "ssh", &IdentityArgs{Servers: true})
		if err != nil {
			return err
		}
		return registerHost(nil, func(args *HostArgs) { args.Identity = identity })(ctx)
	})
	login := mustFind(t, r, commandType, "gw-1-login")
	wantInputs(t, login, map[string]string{"create": "null", "update": "null", "delete": "null", "triggers": "null", "connection.host": `"203.0.113.11"`})
	wantSecret(t, login, "connection")
	server := mustFind(t, r, serverType, "gw-1-server")
	if !slices.ContainsFunc(server.Request.GetDependencies(), func(urn string) bool { return strings.HasSuffix(urn, "::gw-1-login") }) {
		t.Errorf("the server depends on %q only", server.Request.GetDependencies())
	}
	if hooks := login.Request.GetHooks().GetBeforeUpdate(); !slices.Equal(hooks, []string{"ssh-admit"}) {
		t.Errorf("the hooks of the login key are %q", hooks)
	}
}
