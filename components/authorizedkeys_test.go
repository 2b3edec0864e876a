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
				mustRun(t, r, gatewayProgram{host: func(args *HostArgs) {
					args.AuthorizedKeys = []string{colleague}
					if test.change != nil {
						test.change(args)
					}
				}}.run)
				step := mustFind(t, r, commandType, "gw-1-keys")
				wantInputs(t, step, map[string]string{
					"create": `"` + test.sudo + `bash -s -- keep"`,
					"delete": `"` + test.sudo + `bash -s -- release"`,
				})
				// What the login key of the last run undoes, it still has to be let in for.
				for _, other := range r.Resources() {
					if other.Name != step.Name && other.Type == commandType && other.Inputs.HasValue("delete") && !slices.Contains(dependencies(step), other.Name) {
						t.Errorf("keys are written before %s knows the new one", other.Name)
					}
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
