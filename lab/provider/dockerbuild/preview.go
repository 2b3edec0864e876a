package dockerbuild

import (
	"context"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// preview gives previews of an Image what they have beyond those of any other
// resource: a build, if it is wanted, and a context hash, so that a context
// that cannot be read or built is seen before anything is deployed.
func (i *images) preview(base p.Provider) p.Provider {
	previewed := base
	previewed.Create = func(ctx context.Context, r p.CreateRequest) (p.CreateResponse, error) {
		if r.DryRun && r.Urn.Type() == imageToken {
			if _, err := i.make(ctx, r.Properties, true); err != nil {
				return p.CreateResponse{}, err
			}
		}
		return base.Create(ctx, r)
	}
	previewed.Update = func(ctx context.Context, r p.UpdateRequest) (p.UpdateResponse, error) {
		response, err := base.Update(ctx, r)
		if err != nil || !r.DryRun || r.Urn.Type() != imageToken {
			return response, err
		}
		state, err := i.make(ctx, r.Inputs, true)
		if err != nil {
			return p.UpdateResponse{}, err
		}
		// The plugin's base takes outputs for unknown if some input has changed,
		// and for what the preview came to if none has.
		if property.New(r.Inputs).Equals(property.New(r.OldInputs)) {
			for name, value := range state.outputs().All {
				response.Properties = response.Properties.Set(name, value)
			}
		}
		return response, nil
	}
	return previewed
}
