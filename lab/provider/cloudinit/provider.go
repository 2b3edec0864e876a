package cloudinit

import (
	p "github.com/pulumi/pulumi-go-provider"

	"github.com/clawft/infra/lab/provider"
)

// New returns the stand-in.
func New() p.Provider {
	return provider.Package{
		Name:      "cloudinit",
		Functions: []provider.Function{getConfig()},
	}.Provider()
}
