package components

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

func registerAccess(sources ...string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		owner, err := NewOwner(ctx, "owner")
		if err != nil {
			return err
		}
		_, err = NewAccess(ctx, "access", &AccessArgs{
			FirstBootKey:   pulumi.String("ssh-ed25519 AAAA\n"),
			Hetzner:        emptyHetzner(),
			Owner:          owner,
			AllowedSources: sources,
			Labels:         map[string]string{"stack": "prod"},
		})
		return err
	}
}

func TestFirewallOpensSSHOnly(t *testing.T) {
	for _, test := range []struct {
		name    string
		sources []string
	}{
		{"to everybody", []string{"0.0.0.0/0", "::/0"}},
		{"to one office", []string{"203.0.113.0/24"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, registerAccess(test.sources...))
				firewall := mustFind(t, r, "hcloud:index/firewall:Firewall", "access-firewall")
				for _, rule := range firewall.Inputs["rules"].ArrayValue() {
					checkRule(t, rule.ObjectValue(), test.sources)
				}
				if rules := len(firewall.Inputs["rules"].ArrayValue()); rules != 2 {
					t.Errorf("there are %d rules, want SSH and ICMP", rules)
				}
			})
		})
	}
}

func checkRule(t *testing.T, rule resource.PropertyMap, sources []string) {
	t.Helper()
	if direction := rule["direction"].StringValue(); direction != "in" {
		t.Errorf("a rule of direction %q limits what the server itself may reach", direction)
	}
	if rule["protocol"].StringValue() == "icmp" {
		return
	}
	if port := rule["port"].StringValue(); port != "22" || rule["protocol"].StringValue() != "tcp" {
		t.Errorf("a rule opens port %s of %s", port, rule["protocol"].StringValue())
	}
	var got []string
	for _, source := range rule["sourceIps"].ArrayValue() {
		got = append(got, source.StringValue())
	}
	if strings.Join(got, " ") != strings.Join(sources, " ") {
		t.Errorf("SSH is open to %q, want %q", got, sources)
	}
}

func TestAccess(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		owner := `"` + ownerID + `"`
		if r.Preview {
			owner = `"unknown"`
		}
		mustRun(t, r, registerAccess("::/0"))
		key := mustFind(t, r, "hcloud:index/sshKey:SshKey", "access-key")
		wantInputs(t, key, map[string]string{
			"name":      "null",               // another stack of this name may be in the Hetzner project
			"publicKey": `"ssh-ed25519 AAAA"`, // as Hetzner returns it: a newline would be drift
			"labels":    `{"owner":` + owner + `,"stack":"prod"}`,
		})
		if key.Request.GetDeleteBeforeReplace() {
			t.Error("what depends on a key would be deleted before it: every server")
		}
		wantInputs(t, mustFind(t, r, "hcloud:index/firewall:Firewall", "access-firewall"), map[string]string{
			"name":   "null",
			"labels": `{"owner":` + owner + `,"stack":"prod"}`,
		})
	})
}

func TestNumericIDs(t *testing.T) {
	r := newRecorder(t)
	r.IDs = map[string]string{"access-firewall": "not-a-number"}
	err := r.Run(registerHost(nil, nil))
	if want := `reading the numeric ID "not-a-number"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
