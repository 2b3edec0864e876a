package components

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/testsshd"
)

// The old key is in the state until the update, and lets the new one in.
func TestAdmit(t *testing.T) {
	oldKey, oldPublic := keyPair(t, 11)
	newKey, newPublic := keyPair(t, 12)
	for _, test := range []struct {
		name     string
		accepted []string
		before   string
		admits   bool
		wrong    string
	}{
		{"the old key is accepted", []string{oldPublic}, oldKey, true, ""},
		{"the new key is accepted already", []string{newPublic}, oldKey, false, ""},
		{"both are", []string{oldPublic, newPublic}, oldKey, false, ""},
		{"the key stays", nil, newKey, false, ""},
		{"neither is", nil, oldKey, false, "the machine accepts neither the new login key (" + newPublic + ") nor the one of the last run"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ran []string
			server := testsshd.Start(t, func(command, stdin string) (string, string, uint32) {
				ran = append(ran, command, stdin)
				return "", "", 0
			})
			server.Accept(test.accepted...)
			inputs := func(key string) resource.PropertyMap {
				return resource.PropertyMap{"connection": resource.MakeSecret(resource.NewProperty(resource.PropertyMap{
					"host": resource.NewProperty("127.0.0.1"), "port": resource.NewProperty(float64(server.Port)),
					"user": resource.NewProperty("debian"), "hostKey": resource.NewProperty(server.HostKey),
					"privateKey": resource.NewProperty(key),
				}))}
			}
			err := admit(t.Context(), &pulumi.ResourceHookArgs{OldInputs: inputs(test.before), NewInputs: inputs(newKey)})
			if (err != nil || test.wrong != "") && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Fatalf("got %v, want %q", err, test.wrong)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE KEY") {
				t.Error("the error shows a private key")
			}
			if !test.admits {
				if len(ran) > 0 {
					t.Errorf("it ran %q", ran[0])
				}
				return
			}
			if len(ran) != 2 || ran[0] != "sudo -n bash -s -- admit" || !strings.Contains(ran[1], "LOGIN='"+newPublic+"'") {
				t.Errorf("it ran %.80q", ran)
			}
		})
	}
}
