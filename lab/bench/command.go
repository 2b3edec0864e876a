package bench

import (
	"context"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// recordedCommand stands in for pulumi-command without connecting anywhere: a
// remote command is recorded, and that it succeeded. The benchmark changes none.
func recordedCommand() p.Provider {
	printed := property.NewMap(map[string]property.Value{
		"stdout": property.New("recorded"),
		"stderr": property.New(""),
	})
	return provider.Package{
		Name: "command",
		Resources: []provider.Resource{{
			Token:  commandType,
			Args:   remote.CommandArgs{},
			State:  &remote.Command{},
			Secret: []string{"connection"},
			Create: func(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
				id, err := resource.NewUniqueHex(r.Name, 8, 0)
				return id, printed, err
			},
		}},
	}.Provider()
}
