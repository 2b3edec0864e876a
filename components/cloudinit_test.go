package components

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

// showUserData registers a resource that shows assembled user-data.
func showUserData(parts ...cloudinitPart) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		shown := &struct{ pulumi.CustomResourceState }{}
		return ctx.RegisterResource("test:index:Shown", "shown", pulumi.Map{"userData": cloudinitUserData(ctx, parts)}, shown)
	}
}

func TestUserDataHasItsPartsInOrder(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		var asked resource.PropertyMap
		r.Functions[cloudinitGetConfig] = func(args resource.PropertyMap) (resource.PropertyMap, error) {
			asked = args
			return joinParts(args)
		}
		mustRun(t, r, showUserData(
			cloudinitPart{ContentType: "text/cloud-config", Filename: "b.yaml", Content: pulumi.String("first")},
			cloudinitPart{ContentType: "text/x-shellscript", Filename: "a.sh", Content: pulumi.String("second")},
		))
		wantInputs(t, &recorder.Resource{Name: cloudinitGetConfig, Inputs: asked}, map[string]string{
			"gzip":         "false",
			"base64Encode": "false",
			"parts": `[{"content":"first","contentType":"text/cloud-config","filename":"b.yaml"},` +
				`{"content":"second","contentType":"text/x-shellscript","filename":"a.sh"}]`,
		})
		shown := mustFind(t, r, "test:index:Shown", "shown")
		wantInputs(t, shown, map[string]string{"userData": `"first\n--\nsecond"`})
		if shown.Inputs["userData"].IsSecret() {
			t.Error("user-data without a secret is secret")
		}
	})
}

func TestUserDataIsSecretIfAPartIs(t *testing.T) {
	secret := pulumi.ToSecret(pulumi.String(canary)).(pulumi.StringOutput)
	for _, test := range []struct {
		name  string
		parts []cloudinitPart
	}{
		{"the first", []cloudinitPart{{Content: secret}, {Content: pulumi.String("plain")}}},
		{"the last", []cloudinitPart{{Content: pulumi.String("plain")}, {Content: secret}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, showUserData(test.parts...))
				wantSecret(t, mustFind(t, r, "test:index:Shown", "shown"), "userData")
				wantNoPlainText(t, r, canary)
			})
		})
	}
}

func TestUserDataWithoutAnAnswer(t *testing.T) {
	r := newRecorder(t)
	r.Functions[cloudinitGetConfig] = func(resource.PropertyMap) (resource.PropertyMap, error) {
		return resource.PropertyMap{"content": resource.NewProperty("elsewhere")}, nil
	}
	err := r.Run(showUserData(cloudinitPart{Content: pulumi.String("first")}))
	if want := `the cloudinit plugin's answer has no text in "rendered"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s: a server with empty user-data boots, and nobody can log in", err, want)
	}
}
