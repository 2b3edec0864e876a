package components

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/clawft/infra/internal/recorder"
)

// hostCommands are all commands that were registered on the host gw-1.
func hostCommands(t *testing.T, r *recorder.Recorder) map[string]*recorder.Resource {
	t.Helper()
	commands := map[string]*recorder.Resource{}
	for _, name := range r.Names(commandType) {
		commands[name] = mustFind(t, r, commandType, name)
	}
	if len(commands) < 4 {
		t.Fatalf("there are only the commands %q", r.Names(commandType))
	}
	return commands
}

// What has to be undone on one machine before it is done on another has a trigger
// that is the machine; an address, a port, a user or a key is not one.
func TestCommandsMoveWithTheirMachine(t *testing.T) {
	_, otherKey := keyPair(t, 4)
	run := func(t *testing.T, host func(*HostArgs), id string) map[string]*recorder.Resource {
		r := newRecorder(t)
		r.IDs = map[string]string{"gw-1-server": id}
		mustRun(t, r, gatewayProgram{host, nil}.run)
		return hostCommands(t, r)
	}
	for _, test := range []struct {
		name          string
		before, after func(*HostArgs)
		id            string
		moves, new    bool
	}{
		{"another machine", existing(t, nil), existing(t, func(m *ExistingMachine) { m.HostKey, m.Address = otherKey, "192.0.2.8" }), "1", true, true},
		{"another address", existing(t, nil), existing(t, func(m *ExistingMachine) { m.Address = "192.0.2.8" }), "1", false, false},
		{"another port", existing(t, nil), existing(t, func(m *ExistingMachine) { m.Port = 2222 }), "1", false, false},
		{"another user", existing(t, nil), existing(t, func(m *ExistingMachine) { m.User = "debian" }), "1", false, false},
		{"another login key", existing(t, nil), func(args *HostArgs) {
			existing(t, nil)(args)
			args.Identity.PrivateKey = pulumi.ToSecret(pulumi.String("another")).(pulumi.StringOutput)
		}, "1", false, false},
		{"a server that replaces another", nil, nil, "2", false, true},
		{"a machine instead of a server", nil, existing(t, nil), "1", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, after := run(t, test.before, "1"), run(t, test.after, test.id)
			for name, command := range after {
				changed := input(t, before[name], "triggers") != input(t, command, "triggers")
				want := test.moves && input(t, command, "delete") != "null" || test.new && name == "gw-1-ready"
				if changed != want {
					t.Errorf("%s is replaced: %t, want %t", name, changed, want)
				}
				if !command.Request.GetDeleteBeforeReplace() {
					t.Errorf("%s starts elsewhere before it has ended here", name)
				}
			}
		})
	}
}

func TestServersNeedNotAnswerToBeDeleted(t *testing.T) {
	r := newRecorder(t)
	mustRun(t, r, gatewayProgram{}.run)
	for name, command := range hostCommands(t, r) {
		// What runs nothing connects to nothing.
		runs := input(t, command, "create") != "null" || input(t, command, "delete") != "null"
		if with := command.Request.GetDeletedWith(); runs && !strings.HasSuffix(with, "::gw-1-server") {
			t.Errorf("%s is deleted with %q", name, with)
		}
	}
	r = newRecorder(t)
	mustRun(t, r, gatewayProgram{host: existing(t, nil)}.run)
	for name, command := range hostCommands(t, r) {
		if with := command.Request.GetDeletedWith(); with != "" {
			t.Errorf("%s is deleted with %q", name, with)
		}
	}
}

func TestGivenUpHostsAreLeftAlone(t *testing.T) {
	for name, host := range map[string]func(*HostArgs){"server": nil, "existing machine": existing(t, nil)} {
		t.Run(name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, gatewayProgram{func(args *HostArgs) {
					if host != nil {
						host(args)
					}
					args.GiveUp, args.Protect = true, true
				}, nil}.run)
				for name, command := range hostCommands(t, r) {
					if !command.Request.GetRetainOnDelete() || !slices.Equal(command.Request.GetIgnoreChanges(), []string{"*"}) {
						t.Errorf("%s is kept: %t, and ignores %q", name, command.Request.GetRetainOnDelete(), command.Request.GetIgnoreChanges())
					}
					// One that never ran must not run now.
					wantInputs(t, command, map[string]string{"create": "null", "delete": "null", "update": "null", "stdin": "null"})
					if command.Request.GetProtect() {
						t.Errorf("%s is protected: it could not be forgotten", name)
					}
				}
			})
		})
	}
}

func TestRenamedHostsKeepWhatTheyHave(t *testing.T) {
	r := newRecorder(t)
	mustRun(t, r, gatewayProgram{func(args *HostArgs) {
		args.Was = "gw-old"
		args.TakeOver = "fedcba9876543210/gw-9"
	}, nil}.run)
	for _, registered := range r.Resources() {
		if registered.Name != "gw-1" && !strings.HasPrefix(registered.Name, "gw-1-") {
			continue
		}
		if registered.Custom {
			// The engine derives it, for children whose names begin with their parent's.
			if registered.Parent != "gw-1" || !strings.HasPrefix(registered.Name, "gw-1-") {
				t.Errorf("%s %s, below %s, would be deleted and created anew", registered.Type, registered.Name, registered.Parent)
			}
			continue
		}
		if !slices.ContainsFunc(registered.Request.GetAliases(), func(alias *pulumirpc.Alias) bool { return alias.GetSpec().GetName() == "gw-old" }) {
			t.Errorf("%s %s was %v", registered.Type, registered.Name, registered.Request.GetAliases())
		}
	}
	const takes = ownerID + "/gw-old fedcba9876543210/gw-9"
	wantInputs(t, mustFind(t, r, commandType, "gw-1-bootstrap"), map[string]string{
		"create": `"bash -s -- ` + ownerID + ` gw-1 clawft/clawft/prod ` + takes + `"`,
	})
	if stdin := text(t, mustFind(t, r, commandType, "gw-1-release"), "stdin"); !strings.Contains(stdin, `"takes":["`+strings.ReplaceAll(takes, " ", `","`)+`"]`) {
		t.Errorf("the release does not say what it takes: %s", stdin)
	}
}

// Pulumi deletes first what nothing depends on, so what stands before all else
// has to depend on all else.
func TestProtectionDependsOnEverything(t *testing.T) {
	for _, protect := range []bool{false, true} {
		r := newRecorder(t)
		mustRun(t, r, func(ctx *pulumi.Context) error {
			everything := Collect(ctx)
			if _, err := NewProviders(ctx, &ProvidersArgs{Hcloud: &HcloudProviderArgs{}}); err != nil {
				return err
			}
			if err := (gatewayProgram{}).run(ctx); err != nil {
				return err
			}
			return NewProtection(ctx, "protection", &ProtectionArgs{Protect: protect, Of: everything})
		})
		guard := mustFind(t, r, stashType, "protection")
		if guard.Request.GetProtect() != protect {
			t.Errorf("protected: %t, want %t", guard.Request.GetProtect(), protect)
		}
		before := append(dependencies(guard), lastParts(guard.Request.GetReplaceWith())...)
		for _, registered := range r.Resources() {
			if registered.Name != "protection" && registered.Type != "pulumi:pulumi:Stack" && !slices.Contains(before, registered.Name) {
				t.Errorf("%s %s could be deleted first", registered.Type, registered.Name)
			}
		}
	}
}

func lastParts(urns []string) []string {
	var names []string
	for _, urn := range urns {
		names = append(names, urn[strings.LastIndex(urn, "::")+2:])
	}
	return names
}
