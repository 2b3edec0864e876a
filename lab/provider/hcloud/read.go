package hcloud

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// current are the inputs that a refresh records: those given before, with the
// value that is there now wherever the recorded state shows that it drifted.
// An import has no inputs yet, and gets the given ones.
func current(r provider.ReadRequest, now property.Map, imported ...string) property.Map {
	inputs := r.Inputs
	if inputs.Len() == 0 {
		for _, name := range imported {
			inputs = inputs.Set(name, now.Get(name))
		}
		return inputs
	}
	for name := range r.Inputs.All {
		was, is := r.State.Get(name), now.Get(name)
		if !is.IsNull() && !sorted(was).Equals(sorted(is)) && slices.Contains(imported, name) {
			inputs = inputs.Set(name, is)
		}
	}
	return inputs
}
