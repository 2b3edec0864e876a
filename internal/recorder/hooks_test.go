package recorder

import (
	"errors"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestHooksRunAsTheEngineRunsThem(t *testing.T) {
	for _, test := range []struct {
		name              string
		preview, onDryRun bool
		want              bool
	}{
		{"an update", false, false, true},
		{"a preview", true, false, false},
		{"a preview, for a hook that asks for it", true, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			ran := ""
			err := (&Recorder{Stack: "dev", Preview: test.preview}).Run(func(ctx *pulumi.Context) error {
				hook, err := ctx.RegisterResourceHook("refuse", func(args *pulumi.ResourceHookArgs) error {
					ran = args.Name + " " + args.NewInputs["size"].StringValue()
					return errors.New("there is one already")
				}, &pulumi.ResourceHookOptions{OnDryRun: test.onDryRun})
				if err != nil {
					return err
				}
				_, err = newThing(ctx, "a", pulumi.Map{"size": pulumi.String("small")}, pulumi.ResourceHooks(&pulumi.ResourceHookBinding{
					BeforeCreate: []*pulumi.ResourceHook{hook},
				}))
				return err
			})
			if refused := err != nil && strings.Contains(err.Error(), "there is one already"); refused != test.want {
				t.Errorf("the program ended with %v", err)
			}
			if (ran == "a small") != test.want {
				t.Errorf("the hook saw %q", ran)
			}
		})
	}
}
