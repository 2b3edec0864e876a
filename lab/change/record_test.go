package change

import (
	"context"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// record stands in for a plugin that does nothing: what it is told to create is
// what there is. A change of one of the named inputs replaces, any other updates.
func record(outputs map[string]string, replaces ...string) p.Provider {
	with := func(inputs property.Map, preview bool) property.Map {
		for name, text := range outputs {
			value := property.New(text)
			if preview {
				value = property.New(property.Computed)
			}
			inputs = inputs.Set(name, value)
		}
		return inputs
	}
	return p.Provider{
		CheckConfig: func(_ context.Context, r p.CheckRequest) (p.CheckResponse, error) {
			return p.CheckResponse{Inputs: r.Inputs}, nil
		},
		DiffConfig: func(context.Context, p.DiffRequest) (p.DiffResponse, error) { return p.DiffResponse{}, nil },
		Configure:  func(context.Context, p.ConfigureRequest) error { return nil },
		Check: func(_ context.Context, r p.CheckRequest) (p.CheckResponse, error) {
			return p.CheckResponse{Inputs: r.Inputs}, nil
		},
		Diff: func(_ context.Context, r p.DiffRequest) (p.DiffResponse, error) {
			diff := p.DiffResponse{DetailedDiff: map[string]p.PropertyDiff{}}
			note := func(name string) {
				kind := p.Update
				for _, replacing := range replaces {
					if name == replacing {
						kind = p.UpdateReplace
					}
				}
				diff.HasChanges, diff.DetailedDiff[name] = true, p.PropertyDiff{Kind: kind, InputDiff: true}
			}
			for name, value := range r.Inputs.All {
				if !value.Equals(r.OldInputs.Get(name)) {
					note(name)
				}
			}
			for name := range r.OldInputs.All {
				if _, kept := r.Inputs.GetOk(name); !kept {
					note(name)
				}
			}
			return diff, nil
		},
		Create: func(_ context.Context, r p.CreateRequest) (p.CreateResponse, error) {
			return p.CreateResponse{ID: r.Urn.Name(), Properties: with(r.Properties, r.DryRun)}, nil
		},
		Update: func(_ context.Context, r p.UpdateRequest) (p.UpdateResponse, error) {
			return p.UpdateResponse{Properties: with(r.Inputs, r.DryRun)}, nil
		},
		Read: func(_ context.Context, r p.ReadRequest) (p.ReadResponse, error) {
			return p.ReadResponse{ID: r.ID, Properties: r.Properties, Inputs: r.Inputs}, nil
		},
		Delete: func(context.Context, p.DeleteRequest) error { return nil },
	}
}
