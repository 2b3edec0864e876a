package github

import (
	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	p "github.com/pulumi/pulumi-go-provider"

	"github.com/clawft/infra/lab/provider"
)

// New returns the stand-in for the plugin.
func New(hub *Hub) p.Provider {
	return provider.Package{
		Name:      "github",
		Config:    github.ProviderArgs{},
		Configure: configure,
		Resources: []provider.Resource{
			hub.fileResource(),
			hub.rulesetResource(),
			hub.environmentResource(),
			hub.policyResource(),
			hub.secretResource(),
			hub.variableResource(),
		},
		Functions: hub.functions(),
	}.Provider()
}
