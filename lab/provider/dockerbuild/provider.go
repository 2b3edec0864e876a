package dockerbuild

import (
	"context"
	"path/filepath"

	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	p "github.com/pulumi/pulumi-go-provider"

	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/provider"
)

const (
	imageToken = "docker-build:index:Image"
	indexToken = "docker-build:index:Index"
)

// Options say what the stand-in works with.
type Options struct {
	// Client runs buildx. It knows the builders that inputs name.
	Client *buildx.Client
	// Dir is the project's directory, from which relative paths count.
	Dir string
	// Authorities are PEM files of certificate authorities that registries may
	// be vouched for by, beside those that the machine trusts.
	Authorities []string
}

// New returns the stand-in.
func New(opts Options) p.Provider {
	images := &images{client: opts.Client, dir: opts.Dir, authorities: opts.Authorities}
	indexes := &indexes{client: opts.Client, authorities: opts.Authorities}
	return images.preview(provider.Package{
		Name:      "docker-build",
		Config:    sdk.ProviderArgs{},
		Resources: []provider.Resource{images.resource(), indexes.resource()},
	}.Provider())
}

// configured are the registries that the provider has logins for.
func configured(ctx context.Context) ([]sdk.Registry, error) {
	var config struct {
		Registries []sdk.Registry `pulumi:"registries"`
	}
	err := provider.Decode(provider.Config(ctx), &config)
	return config.Registries, err
}

// within is path, counted from the project's directory.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
