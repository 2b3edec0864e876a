package components

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/testsshd"
)

// Another user logs in: the block of the one before goes, by what wrote it.
func TestLeave(t *testing.T) {
	key, public := keyPair(t, 13)
	for _, test := range []struct {
		before, after, ran string
		accepted           bool
		wrong              string
	}{
		{"root", "debian", "sudo -n bash -s -- release", true, ""},
		{"debian", "root", "bash -s -- release", true, ""},
		{"debian", "debian", "", true, ""},
		{"root", "debian", "", false, "taking the keys of user root back"},
	} {
		t.Run(test.before+" to "+test.after, func(t *testing.T) {
			var ran []string
			server := testsshd.Start(t, func(command, stdin string) (string, string, uint32) {
				ran = append(ran, command, stdin)
				return "", "", 0
			})
			if test.accepted {
				server.Accept(public)
			}
			inputs := func(user, script string) resource.PropertyMap {
				return resource.PropertyMap{
					"stdin": resource.NewProperty(script),
					"connection": resource.MakeSecret(resource.NewProperty(resource.PropertyMap{
						"host": resource.NewProperty("127.0.0.1"), "port": resource.NewProperty(float64(server.Port)),
						"user": resource.NewProperty(user), "hostKey": resource.NewProperty(server.HostKey),
						"privateKey": resource.NewProperty(key),
					})),
				}
			}
			err := leave(t.Context(), &pulumi.ResourceHookArgs{OldInputs: inputs(test.before, "before"), NewInputs: inputs(test.after, "after")})
			if (err != nil || test.wrong != "") && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Fatalf("got %v, want %q", err, test.wrong)
			}
			switch {
			case test.ran == "" && len(ran) > 0:
				t.Errorf("it ran %q", ran)
			case test.ran != "" && (len(ran) != 2 || ran[0] != test.ran || ran[1] != "[ -d ~"+test.before+" ] || exit 0\nbefore"):
				t.Errorf("it ran %q", ran)
			}
		})
	}
}
