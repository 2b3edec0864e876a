package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	p "github.com/pulumi/pulumi-go-provider"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// Package describes a stand-in.
type Package struct {
	// Name is the package's name, the first part of its type tokens.
	Name string
	// Config is the SDK's ProviderArgs{}. Nil means that nothing can be configured.
	Config any
	// Configure may refuse a configuration, which is plain and known. Callbacks
	// get it from [Config].
	Configure func(ctx context.Context, config property.Map) error

	Resources []Resource
	Functions []Function
}

// Function describes one function of a stand-in.
type Function struct {
	// Token is the function's name, such as "hcloud:index/getServer:getServer".
	Token string
	// Args and Result are the SDK's LookupServerArgs{} and LookupServerResult{},
	// or structs with pulumi tags.
	Args, Result any
	// Required is as for a Resource.
	Required []string
	// Secret names results that are always secret. All are if an argument is.
	Secret []string
	// Call gets plain values.
	Call func(ctx context.Context, args property.Map) (property.Map, error)
}

// Provider panics on types that no SDK has.
func (pkg Package) Provider() p.Provider {
	config := fieldsOf(pkg.Config)
	resources := map[string]*resource{}
	for _, r := range pkg.Resources {
		resources[r.Token] = newResource(r)
	}
	functions := map[string]*function{}
	for _, f := range pkg.Functions {
		functions[f.Token] = &function{f, fieldsOf(f.Args), fieldsOf(f.Result)}
	}
	find := func(u presource.URN) (*resource, error) {
		if r, ok := resources[string(u.Type())]; ok {
			return r, nil
		}
		return nil, fmt.Errorf("unrecognized resource type %q: the stand-in for %s has %v",
			u.Type(), pkg.Name, slices.Sorted(maps.Keys(resources)))
	}

	return p.Provider{
		GetSchema: func(context.Context, p.GetSchemaRequest) (p.GetSchemaResponse, error) {
			schema, err := json.Marshal(map[string]string{"name": pkg.Name, "version": version})
			return p.GetSchemaResponse{Schema: string(schema)}, err
		},
		CheckConfig: func(_ context.Context, r p.CheckRequest) (p.CheckResponse, error) {
			return p.CheckResponse{
				Inputs:   r.Inputs,
				Failures: checkObject("", config, nil, decodeConfig(r.Inputs, config)),
			}, nil
		},
		DiffConfig: func(_ context.Context, r p.DiffRequest) (p.DiffResponse, error) {
			return diffInputs(r.OldInputs, r.Inputs, func(string) bool { return false }), nil
		},
		Configure: func(ctx context.Context, r p.ConfigureRequest) error {
			values := plain(decodeConfig(r.Args, config))
			if pkg.Configure != nil {
				if err := pkg.Configure(ctx, values); err != nil {
					return fmt.Errorf("configuring provider %s: %w", pkg.Name, err)
				}
			}
			setConfig(ctx, values)
			return nil
		},
		Invoke: func(ctx context.Context, r p.InvokeRequest) (p.InvokeResponse, error) {
			f, ok := functions[string(r.Token)]
			if !ok {
				return p.InvokeResponse{}, fmt.Errorf("unrecognized function %q: the stand-in for %s has %v",
					r.Token, pkg.Name, slices.Sorted(maps.Keys(functions)))
			}
			return f.invoke(ctx, r)
		},
		Check: func(ctx context.Context, req p.CheckRequest) (p.CheckResponse, error) {
			r, err := find(req.Urn)
			if err != nil {
				return p.CheckResponse{}, err
			}
			return r.check(ctx, req), nil
		},
		Diff: func(ctx context.Context, req p.DiffRequest) (p.DiffResponse, error) {
			r, err := find(req.Urn)
			if err != nil {
				return p.DiffResponse{}, err
			}
			return r.diff(ctx, req), nil
		},
		Create: func(ctx context.Context, req p.CreateRequest) (p.CreateResponse, error) {
			r, err := find(req.Urn)
			if err != nil {
				return p.CreateResponse{}, err
			}
			return r.create(ctx, req)
		},
		Read: func(ctx context.Context, req p.ReadRequest) (p.ReadResponse, error) {
			r, err := find(req.Urn)
			if err != nil {
				return p.ReadResponse{}, err
			}
			return r.read(ctx, req)
		},
		Update: func(ctx context.Context, req p.UpdateRequest) (p.UpdateResponse, error) {
			r, err := find(req.Urn)
			if err != nil {
				return p.UpdateResponse{}, err
			}
			return r.update(ctx, req)
		},
		Delete: func(ctx context.Context, req p.DeleteRequest) error {
			r, err := find(req.Urn)
			if err != nil {
				return err
			}
			return r.delete(ctx, req)
		},
	}
}

// decodeConfig undoes what SDKs do to a provider's configuration: every value
// but a string travels as JSON text. What belongs to the engine is left out.
func decodeConfig(m property.Map, config map[string]field) property.Map {
	m = m.Delete("version", "pluginDownloadURL", "__internal", "__pulumi-go-provider-version")
	for name, value := range m.All {
		f, known := config[name]
		if !known || f.kind == aString || !value.IsString() {
			continue
		}
		var decoded any
		if json.Unmarshal([]byte(value.AsString()), &decoded) == nil {
			v := presource.FromResourcePropertyValue(presource.NewPropertyValue(decoded))
			m = m.Set(name, v.WithSecret(value.Secret() || v.Secret()))
		}
	}
	return m
}

type function struct {
	Function
	args, result map[string]field
}

func (f *function) invoke(ctx context.Context, r p.InvokeRequest) (p.InvokeResponse, error) {
	if failures := checkObject("", f.args, f.Required, r.Args); len(failures) > 0 {
		return p.InvokeResponse{Failures: failures}, nil
	}
	out, err := f.Call(ctx, plain(r.Args))
	if err != nil {
		return p.InvokeResponse{}, fmt.Errorf("invoking %s: %w", f.Token, err)
	}
	if failures := checkObject("", f.result, nil, out); len(failures) > 0 {
		return p.InvokeResponse{}, failed("the stand-in for "+f.Token+" returns something else than the SDK expects", failures)
	}
	if property.New(r.Args).HasSecrets() {
		for name, value := range out.All {
			out = out.Set(name, value.WithSecret(true))
		}
	}
	return p.InvokeResponse{Return: withSecrets(out, f.Secret)}, nil
}
