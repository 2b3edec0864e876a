package change

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/provider/command"
	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/stack"
)

// onMachine is a stack that is deployed to one existing machine, to which commands
// really connect. The line that let the login key in first, which is not the stack's,
// is gone.
func onMachine(t *testing.T) (*world, *machine) {
	t.Helper()
	w := newWorldOf(t, "false", hold(hcloud.New(hcloud.NewCloud(hcloud.Options{}))), command.New())
	m := newMachine(t, w.login.public)
	maps.DeleteFunc(w.base, func(key string, _ stack.Value) bool {
		return strings.HasPrefix(key, "hcloud:") || strings.HasPrefix(key, "clawft:hosts")
	})
	maps.Copy(w.base, stack.Settings{
		"clawft:hosts[0].name":    plain("gw-1"),
		"clawft:hosts[0].address": plain("127.0.0.1"),
		"clawft:hosts[0].port":    plain(fmt.Sprint(m.Port)),
		"clawft:hosts[0].hostKey": plain(m.HostKey),
	})
	require.NoError(t, w.up(t, nil))
	m.write(strings.Replace(m.read(), w.login.public+"\n", "", 1))
	return w, m
}

func (w *world) up(t *testing.T, changed stack.Settings) error {
	t.Helper()
	_, err := w.open(t, changed).Up(t.Context(), optup.SuppressProgress())
	return err
}

func (w *world) destroy(t *testing.T) error {
	t.Helper()
	_, err := w.open(t, nil).Destroy(t.Context(), optdestroy.SuppressProgress())
	return err
}

func sorted(texts ...string) []string {
	slices.Sort(texts)
	return texts
}

// The documented three steps: a machine lets in who is said, after each of them.
func TestLoginKeyInThreeSteps(t *testing.T) {
	w, m := onMachine(t)
	require.Equal(t, sorted(w.login.public), m.accepts())
	changed := hidden(w.otherLogin.private)
	for _, step := range []struct {
		name     string
		settings stack.Settings
		accepts  []string
	}{
		{"both log in", stack.Settings{"clawft:ssh.authorizedKeys[0]": plain(w.otherLogin.public)}, sorted(w.login.public, w.otherLogin.public)},
		{"the new one is used", stack.Settings{"clawft:sshPrivateKey": changed, "clawft:ssh.authorizedKeys[0]": plain(w.login.public)}, sorted(w.login.public, w.otherLogin.public)},
		{"the old one is gone", stack.Settings{"clawft:sshPrivateKey": changed}, sorted(w.otherLogin.public)},
	} {
		m.fail(0, false)
		require.NoError(t, w.up(t, step.settings), step.name)
		require.Equal(t, step.accepts, m.accepts(), step.name)
		for _, ran := range m.ran {
			require.NotContains(t, ran, "admit", "%s: the machine lets the new key in already", step.name)
		}
	}
	require.NoError(t, w.destroy(t))
	require.Equal(t, sorted(w.otherLogin.public), m.accepts(), "a destroyed stack locks out whoever logs in")
}

// Whatever fails while a login key changes: the stack is destroyed with what the
// state has. Where the machine lets the old key in no more and the state does not
// know, that is the documented update away.
func TestDestroyAfterAFailedChangeOfLoginKey(t *testing.T) {
	w, m := onMachine(t)
	deployed, err := w.open(t, nil).Export(t.Context())
	require.NoError(t, err)
	login := m.read()
	changed := stack.Settings{"clawft:sshPrivateKey": hidden(w.otherLogin.private)}
	for _, after := range []bool{false, true} {
		failed := true
		for breaking := 1; failed; breaking++ {
			require.NoError(t, w.open(t, nil).Import(t.Context(), deployed))
			m.write(login)
			m.fail(breaking, after)
			if failed = w.up(t, changed) != nil; !failed {
				require.Greater(t, breaking, 3, "commands of a change of login key")
				break
			}
			require.Len(t, m.ran, breaking, "something ran after what failed")
			broken := fmt.Sprintf("%s, after its effect: %t", m.ran[breaking-1], after)
			m.fail(0, false)
			if !slices.Contains(m.accepts(), w.login.public) {
				require.Regexp(t, "keep.*true", broken)
				require.ErrorContains(t, w.destroy(t), "unable to authenticate", broken)
				require.NoError(t, w.up(t, changed), broken)
			}
			require.NoError(t, w.destroy(t), broken)
		}
	}
}

// Two stacks of one name in one Hetzner project have one login key, which the project
// has too. What either does is nothing to the other.
func TestTwoStacksOfOneLoginKey(t *testing.T) {
	cloud := hcloud.NewCloud(hcloud.Options{})
	one := newWorldOf(t, "false", hold(hcloud.New(cloud)), record(map[string]string{"stdout": "{}", "stderr": ""}, "triggers"))
	other := newWorldOf(t, "false", hold(hcloud.New(cloud)), record(map[string]string{"stdout": "{}", "stderr": ""}, "triggers"))
	other.base["clawft:sshPrivateKey"] = hidden(one.login.private)
	other.base["clawft:hosts[0].name"] = plain("gw-3")
	_, err := one.cloud.Create(t.Context(), p.CreateRequest{
		Urn: resource.URN("urn:pulumi:change::clawft::" + hcloud.SSHKeyToken + "::theirs"),
		Properties: property.NewMap(map[string]property.Value{
			"name": property.New("theirs"), "publicKey": property.New(one.login.public),
			"labels": property.New(map[string]property.Value{"whose": property.New("theirs")}),
		}),
	})
	require.NoError(t, err)
	require.NoError(t, one.up(t, nil))
	alone := one.cloud.has(t)
	require.NoError(t, other.up(t, nil))
	both := one.cloud.has(t)

	unchanged := func(what string) {
		t.Helper()
		preview, err := other.open(t, nil).Preview(t.Context(), optpreview.Refresh(), optpreview.ExpectNoChanges(), optpreview.SuppressProgress())
		require.NoError(t, err, "%s\n%s", what, preview.StdOut)
	}
	require.NoError(t, one.up(t, stack.Settings{"clawft:sshPrivateKey": hidden(one.otherLogin.private)}))
	require.Equal(t, both, one.cloud.has(t), "a change of login key")
	unchanged("the other stack's login key changed")

	require.NoError(t, one.destroy(t))
	for kind, ids := range one.cloud.has(t) {
		want := slices.DeleteFunc(slices.Clone(both[kind]), func(id string) bool { return slices.Contains(alone[kind], id) })
		if kind == "sshKeys" {
			want = append(want, alone[kind][0]) // the project's own
		}
		require.ElementsMatch(t, want, ids, kind)
	}
	unchanged("the other stack was destroyed")
	// Its servers are still created.
	require.NoError(t, other.up(t, stack.Settings{
		"clawft:hosts[2].name": plain("gw-4"), "clawft:hosts[2].hcloud.type": plain("cx23"),
		"clawft:hosts[2].hcloud.location": plain("nbg1"), "clawft:hosts[2].hcloud.image": plain("debian-12"),
	}))
	require.Len(t, one.cloud.has(t)["servers"], 2)
}
