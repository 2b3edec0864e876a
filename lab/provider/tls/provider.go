package tls

import (
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"

	"github.com/clawft/infra/lab/provider"
)

// New returns the stand-in. It keeps nothing: a key lives in the stack's state.
func New() p.Provider {
	return provider.Package{
		Name:      "tls",
		Config:    tls.ProviderArgs{},
		Resources: []provider.Resource{privateKey()},
		Functions: []provider.Function{publicKey()},
	}.Provider()
}
