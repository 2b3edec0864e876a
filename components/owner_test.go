package components

import (
	"regexp"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

const stashType = "pulumi:index:Stash"

// ownerID is what the tests' stacks have kept.
const ownerID = "00112233aabbccdd"

func TestOwner(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		mustRun(t, r, func(ctx *pulumi.Context) error {
			owner, err := NewOwner(ctx, "owner")
			if err != nil {
				return err
			}
			shown := &struct{ pulumi.CustomResourceState }{}
			return ctx.RegisterResource("test:index:Shown", "shown", pulumi.Map{
				"id": owner.ID, "stack": pulumi.String(owner.Stack),
			}, shown)
		})
		id := `"` + ownerID + `"`
		if r.Preview {
			id = `"unknown"`
		}
		wantInputs(t, mustFind(t, r, "test:index:Shown", "shown"), map[string]string{"id": id, "stack": `"clawft/clawft/prod"`})

		stash := mustFind(t, r, stashType, "owner-id")
		if drawn := text(t, stash, "input"); !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(drawn) || drawn == ownerID {
			t.Errorf("%q was drawn", drawn)
		}
		if ignored := stash.Request.GetIgnoreChanges(); !slices.Equal(ignored, []string{"input"}) {
			t.Errorf("changes of %q are ignored: the next run would give the stack another ID", ignored)
		}
	})
}
