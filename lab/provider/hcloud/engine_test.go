package hcloud

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/machine"
)

// engine drives a provider as Pulumi's would, one resource at a time.
type engine struct {
	t *testing.T
	p p.Provider
}

// made is a resource in the engine's state.
type made struct {
	token, name, id string
	inputs, state   property.Map
}

func newEngine(t *testing.T, c *Cloud) *engine {
	t.Helper()
	e := &engine{t, New(c)}
	require.NoError(t, e.p.Configure(t.Context(), p.ConfigureRequest{Args: values(map[string]any{"token": token})}))
	return e
}

var token = strings.Repeat("t", tokenLength)

func urn(token, name string) resource.URN {
	return resource.NewURN("dev", "clawft", "", tokens.Type(token), name)
}

func (e *engine) check(token, name string, inputs map[string]any) (property.Map, []p.CheckFailure) {
	e.t.Helper()
	got, err := e.p.Check(e.t.Context(), p.CheckRequest{Urn: urn(token, name), Inputs: values(inputs)})
	require.NoError(e.t, err)
	return got.Inputs, got.Failures
}

// create checks and creates.
func (e *engine) create(token, name string, inputs map[string]any) (made, error) {
	e.t.Helper()
	checked, failures := e.check(token, name, inputs)
	require.Empty(e.t, failures)
	got, err := e.p.Create(e.t.Context(), p.CreateRequest{Urn: urn(token, name), Properties: checked})
	return made{token, name, got.ID, checked, got.Properties}, err
}

func (e *engine) mustCreate(token, name string, inputs map[string]any) made {
	e.t.Helper()
	m, err := e.create(token, name, inputs)
	require.NoError(e.t, err)
	return m
}

// with returns the inputs with some changed; nil removes one.
func with(inputs map[string]any, changes ...any) map[string]any {
	out := map[string]any{}
	for k, v := range inputs {
		out[k] = v
	}
	for i := 0; i < len(changes); i += 2 {
		out[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(out, changes[i].(string))
		}
	}
	return out
}

func (e *engine) diff(m made, inputs map[string]any) p.DiffResponse {
	e.t.Helper()
	got, err := e.p.Diff(e.t.Context(), p.DiffRequest{
		ID: m.id, Urn: urn(m.token, m.name), State: m.state, OldInputs: m.inputs, Inputs: values(inputs),
	})
	require.NoError(e.t, err)
	return got
}

func (e *engine) update(m *made, inputs map[string]any) error {
	e.t.Helper()
	got, err := e.p.Update(e.t.Context(), p.UpdateRequest{
		ID: m.id, Urn: urn(m.token, m.name), State: m.state, OldInputs: m.inputs, Inputs: values(inputs),
	})
	if err == nil {
		m.inputs, m.state = values(inputs), got.Properties
	}
	return err
}

// refresh reports whether the resource is still there.
func (e *engine) refresh(m *made) bool {
	e.t.Helper()
	got, err := e.p.Read(e.t.Context(), p.ReadRequest{ID: m.id, Urn: urn(m.token, m.name), Properties: m.state, Inputs: m.inputs})
	require.NoError(e.t, err)
	if got.ID != "" {
		m.inputs, m.state = got.Inputs, got.Properties
	}
	return got.ID != ""
}

func (e *engine) delete(m made) error {
	return e.p.Delete(e.t.Context(), p.DeleteRequest{ID: m.id, Urn: urn(m.token, m.name), Properties: m.state, OldInputs: m.inputs})
}

// fakeMachines are machines of which only what was asked for is known.
type fakeMachines struct {
	mu    sync.Mutex
	specs map[string]machine.Spec
	cuts  int
	fail  error
}

func (f *fakeMachines) Create(ctx context.Context, s machine.Spec) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return "", f.fail
	}
	if _, ok := f.specs[s.Name]; ok {
		return "", errors.New("there is one already")
	}
	f.specs[s.Name] = s
	return s.Name, ctx.Err()
}

func (f *fakeMachines) Get(_ context.Context, name string) (*machine.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.specs[name]
	if !ok {
		return nil, nil
	}
	return &machine.Machine{Name: name, IP: s.IP, Running: true, Started: time.Now()}, nil
}

func (f *fakeMachines) Cut(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cuts++
	return nil
}

func (f *fakeMachines) Delete(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.specs, name)
	return nil
}

// newLab returns a cloud whose servers have fake machines of architecture amd64.
func newLab(t *testing.T) (*Cloud, *fakeMachines) {
	machines := &fakeMachines{specs: map[string]machine.Spec{}}
	return NewCloud(Options{
		Machines: machines, Network: machine.DefaultNetwork, Architecture: "amd64",
		StateFile:   t.TempDir() + "/hcloud.json",
		RegistryCAs: map[string]string{"172.30.0.1:5000": "CERTIFICATE"},
	}), machines
}
