package components

import (
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/internal/recorder"
)

func TestHostKeepsItsKeys(t *testing.T) {
	const colleague = "ssh-ed25519 AAAACOLLEAGUE colleague"
	for _, test := range []struct {
		name, user, sudo string
		change           func(*HostArgs)
		first            string
	}{
		{"a server", "root", "", nil, firstBootKey},
		{"an existing machine", "debian", "sudo -n ", existing(t, func(m *ExistingMachine) { m.User = "debian" }), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, registerHost(nil, func(args *HostArgs) {
					args.AuthorizedKeys = []string{colleague}
					if test.change != nil {
						test.change(args)
					}
				}))
				step := mustFind(t, r, commandType, "gw-1-keys")
				wantInputs(t, step, map[string]string{
					"create": `"` + test.sudo + `bash -s -- keep"`,
					"delete": `"` + test.sudo + `bash -s -- release"`,
				})
				// The bootstrap refuses a machine that is another stack's.
				if !slices.Contains(dependencies(step), "gw-1-bootstrap") {
					t.Error("keys are written before it is known whose the machine is")
				}
				if r.Preview { // the owner's ID is drawn by the first run
					return
				}
				script := text(t, step, "stdin")
				for _, want := range []string{
					"LOGIN_USER='" + test.user + "'", "BLOCK='" + ownerID + "/gw-1'", "LOGIN='" + loginKey + "'", "KEYS='" + colleague + "'", "FIRST_BOOT='" + test.first + "'",
				} {
					if !strings.Contains(script, "readonly "+want+"\n") {
						t.Errorf("the script lacks %s", want)
					}
				}
			})
		})
	}
}
