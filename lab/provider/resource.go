package provider

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// Resource describes one resource type of a stand-in.
type Resource struct {
	// Token is the resource's type, such as "hcloud:index/server:Server".
	Token string
	// Args is the SDK's Args type: hcloud.ServerArgs{}.
	Args any
	// State is the SDK's resource type: &hcloud.Server{}.
	State any

	// Required names inputs that must be there though the SDK's type is a list,
	// a map or an asset, which cannot say so.
	Required []string
	// Replace names top-level inputs that replace the resource when they change.
	Replace []string
	// Secret names inputs and outputs that are always secret.
	Secret []string
	// Volatile names outputs that an update may change, and that are therefore
	// unknown while an update is previewed.
	Volatile []string
	// AutoName fills in an absent "name" with the resource's logical name and a
	// random suffix, once, as bridged providers do.
	AutoName bool
	// DeleteBeforeReplace is for what cannot exist twice.
	DeleteBeforeReplace bool

	// Default fills in what the inputs lack, before they are checked and
	// recorded. Values may be unknown and secret, and have to stay so.
	Default func(inputs property.Map) property.Map
	// Check adds to the checks of the base, which have passed already.
	// Values may be unknown. Nil means nothing to add.
	Check func(ctx context.Context, inputs property.Map) []p.CheckFailure
	// Warn tells what the official plugin warns of in inputs that pass the checks,
	// which is printed as bridged providers do. Values may be unknown.
	Warn func(inputs property.Map) []string
	// Diff may adjust the base's answer. Nil leaves it as it is.
	Diff func(ctx context.Context, r p.DiffRequest, base p.DiffResponse) p.DiffResponse

	// Create returns the new ID and the outputs that differ from the inputs. An
	// ID beside an error means that the resource exists, incompletely.
	Create func(ctx context.Context, r CreateRequest) (id string, outputs property.Map, err error)
	// Read returns what is there now; found is false if nothing is. Nil means
	// that the recorded state is always right.
	Read func(ctx context.Context, r ReadRequest) (inputs, outputs property.Map, found bool, err error)
	// Update returns the outputs that differ from the inputs and the old state.
	// Nil means that every change replaces the resource.
	Update func(ctx context.Context, r UpdateRequest) (outputs property.Map, err error)
	// Delete succeeds if nothing is there any more. Nil means nothing to do.
	Delete func(ctx context.Context, r DeleteRequest) error
}

// CreateRequest holds plain, known values.
type CreateRequest struct {
	Name   string // the resource's logical name
	Inputs property.Map
}

// ReadRequest holds plain, known values. Both maps are empty in an import.
type ReadRequest struct {
	ID            string
	Inputs, State property.Map
}

// UpdateRequest holds plain, known values.
type UpdateRequest struct {
	Name                     string // the resource's logical name
	ID                       string
	Inputs, OldInputs, State property.Map
}

// DeleteRequest holds plain, known values.
type DeleteRequest struct {
	ID            string
	Inputs, State property.Map
}

// resource is a Resource with its SDK types read.
type resource struct {
	Resource
	inputs, outputs map[string]field
}

func newResource(r Resource) *resource {
	return &resource{Resource: r, inputs: fieldsOf(r.Args), outputs: fieldsOf(r.State)}
}

func (r *resource) check(ctx context.Context, req p.CheckRequest) p.CheckResponse {
	inputs := req.Inputs
	if r.AutoName && inputs.Get("name").IsNull() {
		name := req.State.Get("name")
		if name.IsNull() {
			name = property.New(fmt.Sprintf("%s-%07x", req.Urn.Name(), rand.Uint32N(1<<28))) //nolint:gosec // no secret
		}
		inputs = inputs.Set("name", name)
	}
	if r.Default != nil {
		inputs = r.Default(inputs)
	}
	failures := checkObject("", r.inputs, r.Required, inputs)
	if len(failures) == 0 && r.Check != nil {
		failures = r.Check(ctx, plain(inputs))
	}
	if r.Warn != nil {
		for _, warning := range r.Warn(plain(inputs)) {
			p.GetLogger(ctx).Warningf("%s verification warning: %s", req.Urn, warning)
		}
	}
	return p.CheckResponse{Inputs: withSecrets(inputs, r.Secret), Failures: failures}
}

func (r *resource) diff(ctx context.Context, req p.DiffRequest) p.DiffResponse {
	response := diffInputs(req.OldInputs, req.Inputs, r.replaces)
	response.DeleteBeforeReplace = r.DeleteBeforeReplace
	if r.Diff != nil {
		req.Inputs, req.OldInputs, req.State = plain(req.Inputs), plain(req.OldInputs), plain(req.State)
		response = r.Diff(ctx, req, response)
	}
	return response
}

func (r *resource) create(ctx context.Context, req p.CreateRequest) (p.CreateResponse, error) {
	if req.DryRun {
		return p.CreateResponse{Properties: r.finish(r.plannedCreate(req.Properties), req.Properties)}, nil
	}
	id, outputs, err := r.Create(ctx, CreateRequest{Name: req.Urn.Name(), Inputs: plain(req.Properties)})
	all := merge(plain(req.Properties), outputs)
	response := p.CreateResponse{ID: id, Properties: r.finish(all, req.Properties)}
	switch {
	case err != nil && id != "":
		response.PartialState = &p.InitializationFailed{Reasons: []string{err.Error()}}
		return response, err
	case err != nil:
		return p.CreateResponse{}, err
	case id == "":
		return p.CreateResponse{}, p.InternalErrorf("creating %s returned no ID", r.Token)
	}
	return response, r.complete(all)
}

func (r *resource) read(ctx context.Context, req p.ReadRequest) (p.ReadResponse, error) {
	if r.Read == nil {
		return p.ReadResponse{ID: req.ID, Properties: req.Properties, Inputs: req.Inputs}, nil
	}
	inputs, outputs, found, err := r.Read(ctx, ReadRequest{
		ID: req.ID, Inputs: plain(req.Inputs), State: plain(req.Properties),
	})
	if err != nil || !found {
		return p.ReadResponse{}, err
	}
	all := merge(inputs, outputs)
	return p.ReadResponse{
		ID:         req.ID,
		Inputs:     keepSecrets(inputs, req.Inputs),
		Properties: r.finish(all, req.Properties),
	}, r.complete(all)
}

func (r *resource) update(ctx context.Context, req p.UpdateRequest) (p.UpdateResponse, error) {
	// What an update keeps, unless it says otherwise.
	kept := merge(r.computed(req.State), req.Inputs)
	if req.DryRun {
		planned := plain(kept)
		for _, name := range r.Volatile {
			planned = planned.Set(name, property.New(property.Computed))
		}
		return p.UpdateResponse{Properties: r.finish(planned, kept)}, nil
	}
	if r.Update == nil {
		return p.UpdateResponse{}, p.InternalErrorf("%s cannot be updated, only replaced", r.Token)
	}
	outputs, err := r.Update(ctx, UpdateRequest{
		Name: req.Urn.Name(), ID: req.ID,
		Inputs: plain(req.Inputs), OldInputs: plain(req.OldInputs), State: plain(req.State),
	})
	if err != nil {
		return p.UpdateResponse{}, err
	}
	all := merge(plain(kept), outputs)
	return p.UpdateResponse{Properties: r.finish(all, kept)}, r.complete(all)
}

func (r *resource) delete(ctx context.Context, req p.DeleteRequest) error {
	if r.Delete == nil {
		return nil
	}
	return r.Delete(ctx, DeleteRequest{
		ID: req.ID, Inputs: plain(req.OldInputs), State: plain(req.Properties),
	})
}

// plannedCreate is the inputs, and unknown for what the provider will tell.
func (r *resource) plannedCreate(inputs property.Map) property.Map {
	planned := map[string]property.Value{}
	for name, f := range r.outputs {
		if _, isInput := r.inputs[name]; !isInput || !f.optional {
			planned[name] = property.New(property.Computed)
		}
	}
	return merge(property.NewMap(planned), plain(inputs))
}

// computed keeps of m what is not merely an input given back: an optional
// input that is no longer given must not live on in the state.
func (r *resource) computed(m property.Map) property.Map {
	for name, f := range r.inputs {
		out, isOutput := r.outputs[name]
		if !isOutput || f.optional && out.optional {
			m = m.Delete(name)
		}
	}
	return m
}

// finish marks what has to be secret: what was so in from, and what always is.
func (r *resource) finish(outputs, from property.Map) property.Map {
	return withSecrets(keepSecrets(outputs, from), r.Secret)
}

// complete tells of a stand-in that does not return what the SDK expects.
func (r *resource) complete(outputs property.Map) error {
	for name := range outputs.AllStable {
		_, isOutput := r.outputs[name]
		_, isInput := r.inputs[name]
		if !isOutput && !isInput {
			return p.InternalErrorf("%s has no output %q", r.Token, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.outputs)) {
		if !r.outputs[name].optional && outputs.Get(name).IsNull() {
			return p.InternalErrorf("the stand-in for %s does not set its output %q", r.Token, name)
		}
	}
	return nil
}

func merge(under, over property.Map) property.Map {
	for name, value := range over.All {
		under = under.Set(name, value)
	}
	return under
}
