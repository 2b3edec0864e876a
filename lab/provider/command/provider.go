package command

import (
	p "github.com/pulumi/pulumi-go-provider"

	"github.com/clawft/infra/lab/provider"
)

// New returns the stand-in.
func New() p.Provider {
	return provider.Package{
		Name:      "command",
		Resources: []provider.Resource{remoteCommand(), localCommand()},
	}.Provider()
}
