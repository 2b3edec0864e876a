package components

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

const primaryIPType = "hcloud:index/primaryIp:PrimaryIp"

// hostSteps are the commands that every host has.
var hostSteps = []string{"gw-1-ready", "gw-1-bootstrap"}

const (
	loginKey     = "ssh-ed25519 AAAALOGIN"
	firstBootKey = "ssh-ed25519 AAAABOOT"
)

// registerHost registers the host gw-1: a Hetzner server, unless changed.
func registerHost(access *Access, change func(*HostArgs)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := newTestHost(ctx, access, change)
		return err
	}
}

func newTestHost(ctx *pulumi.Context, access *Access, change func(*HostArgs)) (*Host, error) {
	owner, err := NewOwner(ctx, "owner")
	if err != nil {
		return nil, err
	}
	if access == nil {
		access, err = NewAccess(ctx, "access", &AccessArgs{FirstBootKey: pulumi.String("ssh-ed25519 AAAA"), Owner: owner, Hetzner: emptyHetzner()})
		if err != nil {
			return nil, err
		}
	}
	args := &HostArgs{
		Owner:  owner,
		Server: &HcloudServer{Type: "cax11", Location: "nbg1", Image: "debian-12"},
		Access: access,
		Identity: &Identity{
			PrivateKey:   pulumi.ToSecret(pulumi.String(canary)).(pulumi.StringOutput),
			PublicKey:    pulumi.String(loginKey).ToStringOutput(),
			FirstBootKey: pulumi.String(firstBootKey).ToStringOutput(),
		},
		Labels: map[string]string{"stack": "prod"},
	}
	if change != nil {
		change(args)
	}
	return NewHost(ctx, "gw-1", args)
}

// emptyHetzner is a project that has nothing.
func emptyHetzner() *Hetzner { return &Hetzner{ids: pulumi.Map{}} }

// existing turns the host into a machine that exists.
func existing(t *testing.T, change func(*ExistingMachine)) func(*HostArgs) {
	_, public := keyPair(t, 3)
	return func(args *HostArgs) {
		args.Server, args.Access = nil, nil
		args.Machine = &ExistingMachine{Address: "192.0.2.7", Port: 22, User: "root", HostKey: public}
		if change != nil {
			change(args.Machine)
		}
	}
}

func TestServer(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		r.IDs = map[string]string{"gw-1-ipv4": "77", "access-firewall": "88", "access-key": "99"}
		mustRun(t, r, registerHost(nil, nil))
		address, firewall, key, owner := "77", "[88]", `["99"]`, `"`+ownerID+`"`
		if r.Preview {
			address, firewall, key, owner = `"unknown"`, `["unknown"]`, `["unknown"]`, `"unknown"`
		}
		server := mustFind(t, r, serverType, "gw-1-server")
		wantInputs(t, server, map[string]string{
			"name":                   `"gw-1"`,
			"serverType":             `"cax11"`,
			"location":               `"nbg1"`,
			"image":                  `"debian-12"`,
			"sshKeys":                key,
			"firewallIds":            firewall,
			"publicNets":             `[{"ipv4":` + address + `,"ipv4Enabled":true,"ipv6Enabled":true}]`,
			"keepDisk":               "true", // a resize can be undone
			"shutdownBeforeDeletion": "true",
			"labels":                 `{"owner":` + owner + `,"stack":"prod"}`,
		})
		if ignored := server.Request.GetIgnoreChanges(); !slices.Equal(ignored, []string{"userData", "sshKeys"}) {
			t.Errorf("changes of %q are ignored; those of userData and sshKeys would replace the server", ignored)
		}
		if !server.Request.GetDeleteBeforeReplace() {
			t.Error("a replacement would meet the old server, which has its name and address")
		}
	})
}

func TestAddressOutlivesTheServer(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		mustRun(t, r, registerHost(nil, nil))
		address := mustFind(t, r, primaryIPType, "gw-1-ipv4")
		wantInputs(t, address, map[string]string{
			"autoDelete":   "false",
			"type":         `"ipv4"`,
			"location":     `"nbg1"`,
			"assigneeId":   "null", // the server takes the address, not the other way round
			"assigneeType": "null", // the plugin warns of it where there is no assigneeId
		})
		if slices.Contains(dependencies(address), "gw-1-server") {
			t.Error("the address depends on the server")
		}
	})
}

func TestProtection(t *testing.T) {
	for _, protect := range []bool{false, true} {
		t.Run(fmt.Sprint(protect), func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, gatewayProgram{func(args *HostArgs) { args.Protect = protect }, nil}.run)
				server, address := mustFind(t, r, serverType, "gw-1-server"), mustFind(t, r, primaryIPType, "gw-1-ipv4")
				want := fmt.Sprint(protect)
				wantInputs(t, server, map[string]string{"deleteProtection": want, "rebuildProtection": want})
				wantInputs(t, address, map[string]string{"deleteProtection": want})
				release := mustFind(t, r, commandType, "gw-1-release")
				for _, guarded := range []*recorder.Resource{server, address, release} {
					if guarded.Request.GetProtect() != protect {
						t.Errorf("%s: protected against Pulumi: %t", guarded.Name, guarded.Request.GetProtect())
					}
				}
			})
		})
	}
}

func TestUserDataHoldsWhatAServerNeedsToBeReached(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		mustRun(t, r, registerHost(nil, nil))
		server := mustFind(t, r, serverType, "gw-1-server")
		wantSecret(t, server, "userData")
		wantNoPlainText(t, r, "PRIVATE KEY")
		wantNoPlainText(t, r, canary)
		if r.Preview {
			wantInputs(t, server, map[string]string{"userData": `"unknown"`})
			return
		}
		userData := text(t, server, "userData")
		_, public := keyPair(t, 1)
		for _, want := range []string{"#cloud-config\n", "-----BEGIN OPENSSH PRIVATE KEY-----", public, loginKey} {
			if !strings.Contains(userData, want) {
				t.Errorf("user-data lacks %q", want)
			}
		}
		// It is read once: what it held of the bootstrap would grow stale.
		if len(userData) > 8<<10 {
			t.Errorf("user-data has %d bytes, more than 8 KiB", len(userData))
		}
		if strings.Contains(userData, canary) {
			t.Error("user-data holds the key that logs in")
		}
	})
}

// Nothing may connect before it is known whom to expect.
func TestHostKeyIsPinned(t *testing.T) {
	_, generated := keyPair(t, 1)
	_, given := keyPair(t, 3)
	for _, test := range []struct {
		name           string
		change         func(*HostArgs)
		key            string
		before         []string // what is registered before a connection
		knownInPreview bool
	}{
		{"of a server", nil, generated, []string{"gw-1-host-key", "gw-1-ipv4", "gw-1-server"}, false},
		{"of an existing machine", existing(t, nil), given, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, registerHost(nil, test.change))
				want := `"` + test.key + `"`
				if r.Preview && !test.knownInPreview {
					// The connection as a whole is unknown, and waits for the key.
					want = "null"
				}
				for _, name := range hostSteps {
					step := mustFind(t, r, commandType, name)
					wantInputs(t, step, map[string]string{"connection.hostKey": want})
					for _, before := range test.before {
						if !slices.ContainsFunc(step.Request.GetPropertyDependencies()["connection"].GetUrns(), func(urn string) bool {
							return strings.HasSuffix(urn, "::"+before)
						}) {
							t.Errorf("%s connects before there is %s", name, before)
						}
					}
				}
			})
		})
	}
}

// stepCommand is how a step of a host is run, as JSON.
func stepCommand(r *recorder.Recorder, shell, name string) string {
	switch {
	case name != "gw-1-bootstrap":
		return `"` + shell + `"`
	case r.Preview: // the owner's ID is drawn
		return `"unknown"`
	}
	return `"` + shell + " -- " + ownerID + ` gw-1 clawft/clawft/prod"`
}

func TestConnection(t *testing.T) {
	// A server takes its time to boot. What is there already answers, or somebody
	// waits for nothing.
	created := map[string]string{"gw-1-ready": "60", "gw-1-bootstrap": "3"}
	known := map[string]string{"gw-1-ready": "3", "gw-1-bootstrap": "3"}
	for _, test := range []struct {
		name               string
		change             func(*HostArgs)
		address, port      string
		user, command      string
		addressedInPreview bool
		dials              map[string]string
	}{
		{"a server", nil, "203.0.113.11", "22", "root", "bash -s", false, created},
		{"an existing machine", existing(t, nil), "192.0.2.7", "22", "root", "bash -s", true, known},
		{"another port", existing(t, func(m *ExistingMachine) { m.Port = 2222 }), "192.0.2.7", "2222", "root", "bash -s", true, known},
		{"a user with sudo", existing(t, func(m *ExistingMachine) { m.User = "debian" }), "192.0.2.7", "22", "debian", "sudo -n bash -s", true, known},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, registerHost(nil, test.change))
				for _, name := range hostSteps {
					step := mustFind(t, r, commandType, name)
					wantSecret(t, step, "connection")
					wantInputs(t, step, map[string]string{"create": stepCommand(r, test.command, name)})
					if r.Preview && !test.addressedInPreview {
						continue
					}
					wantInputs(t, step, map[string]string{
						"connection.host":           `"` + test.address + `"`,
						"connection.port":           test.port,
						"connection.user":           `"` + test.user + `"`,
						"connection.privateKey":     `"` + canary + `"`,
						"connection.dialErrorLimit": test.dials[name],
					})
				}
				wantNoPlainText(t, r, canary)
			})
		})
	}
}

func TestHostCommands(t *testing.T) {
	for name, change := range map[string]func(*HostArgs){"server": nil, "existing machine": existing(t, nil)} {
		t.Run(name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, registerHost(nil, change))
				for _, name := range hostSteps {
					wantInputs(t, mustFind(t, r, commandType, name), map[string]string{
						// What undoes a bootstrap would remove a gateway that runs.
						"delete":      "null",
						"update":      "null",
						"environment": "null",
						// sshd would refuse the variables.
						"addPreviousOutputInEnv": "false",
					})
				}
				if !slices.Contains(dependencies(mustFind(t, r, commandType, "gw-1-bootstrap")), "gw-1-ready") {
					t.Error("the bootstrap does not wait until the machine is ready")
				}
			})
		})
	}
}

// A replaced server has the address and the keys of the old one, so only its ID
// can tell that nothing is installed there.
func TestScriptsRunAgainOnAnotherMachine(t *testing.T) {
	_, otherKey := keyPair(t, 4)
	run := func(t *testing.T, id string, change func(*HostArgs)) *recorder.Recorder {
		r := newRecorder(t)
		r.IDs = map[string]string{"gw-1-server": id}
		mustRun(t, r, registerHost(nil, change))
		return r
	}
	for _, test := range []struct {
		name                 string
		before, after        string
		changeBefore, change func(*HostArgs)
		again                bool
	}{
		{"a replaced server", "1", "2", nil, nil, true},
		{"the same server", "1", "1", nil, nil, false},
		{"a resized server", "1", "1", nil, func(args *HostArgs) { args.Server.Type = "cax21" }, false},
		{"a machine set up anew", "", "", existing(t, nil), existing(t, func(m *ExistingMachine) { m.HostKey = otherKey }), true},
		{"the same machine by another name", "", "", existing(t, nil), existing(t, func(m *ExistingMachine) { m.HostKey += " comment" }), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, after := run(t, test.before, test.changeBefore), run(t, test.after, test.change)
			for _, name := range hostSteps {
				old, current := mustFind(t, before, commandType, name), mustFind(t, after, commandType, name)
				if changed := input(t, old, "stdin") != input(t, current, "stdin"); changed != test.again {
					t.Errorf("%s runs again: %t, want %t", name, changed, test.again)
				}
			}
		})
	}
}

func TestScriptsAreWholeScripts(t *testing.T) {
	r := newRecorder(t)
	mustRun(t, r, registerHost(nil, existing(t, nil)))
	for _, name := range hostSteps {
		first, rest, _ := strings.Cut(text(t, mustFind(t, r, commandType, name), "stdin"), "\n")
		if !strings.HasPrefix(first, "# machine: SHA256:") || !strings.HasPrefix(rest, "#!/") {
			t.Errorf("%s begins with %q, %.40q", name, first, rest)
		}
	}
}

func TestHostRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*HostArgs)
		want   string
	}{
		{"neither kind", func(args *HostArgs) { args.Server = nil },
			"a host is either a Hetzner server or an existing machine; give one of HostArgs.Server and HostArgs.Machine"},
		{"both kinds", func(args *HostArgs) { args.Machine = &ExistingMachine{Address: "192.0.2.7"} },
			"a host is either a Hetzner server or an existing machine; give one of HostArgs.Server and HostArgs.Machine"},
		{"a server that nobody may reach", func(args *HostArgs) { args.Access = nil },
			"a Hetzner server needs an SSH key and a firewall (HostArgs.Access)"},
		{"no key to log in", func(args *HostArgs) { args.Identity = nil },
			"a host needs the SSH key that logs in to it (HostArgs.Identity)"},
		{"nobody's", func(args *HostArgs) { args.Owner = nil },
			"a host needs to know whose it is (HostArgs.Owner)"},
		{"a host key that is none", existing(t, func(m *ExistingMachine) { m.HostKey = "ssh-ed25519" }),
			`reading the SSH host key "ssh-ed25519": ssh: no key found`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t)
			err := r.Run(registerHost(nil, test.change))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if r.Find("clawft:index:Host", "gw-1") != nil {
				t.Error("the host was registered before its arguments were checked")
			}
		})
	}
}
