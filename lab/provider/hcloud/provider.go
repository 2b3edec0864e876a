package hcloud

import (
	"context"
	"errors"
	"os"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// tokenLength is that of Hetzner's API tokens, which the real provider checks.
const tokenLength = 64

// New returns the stand-in for a project at Hetzner.
func New(cloud *Cloud) p.Provider {
	return provider.Package{
		Name:   "hcloud",
		Config: hcloud.ProviderArgs{},
		Configure: func(_ context.Context, config property.Map) error {
			token := text(config, "token")
			if token == "" {
				token = os.Getenv("HCLOUD_TOKEN")
			}
			switch {
			case token == "":
				return errors.New("no API token: set hcloud:token or HCLOUD_TOKEN")
			case len(token) != tokenLength:
				return errors.New("entered token is invalid (must be exactly 64 characters long)")
			}
			return nil
		},
		Resources: []provider.Resource{
			cloud.serverResource(),
			cloud.primaryIPResource(),
			cloud.sshKeyResource(),
			cloud.firewallResource(),
			cloud.attachmentResource(),
		},
		Functions: cloud.functions(),
	}.Provider()
}
