package provider_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/provider"
)

const thingURN = resource.URN("urn:pulumi:dev::project::cloud:index/thing:Thing::web")

type props = map[string]property.Value

func obj(m props) property.Map { return property.NewMap(m) }

func str(s string) property.Value { return property.New(s) }

func num(f float64) property.Value { return property.New(f) }

func list(v ...property.Value) property.Value { return property.New(v) }

func secret(v property.Value) property.Value { return v.WithSecret(true) }

var unknown = property.New(property.Computed)

// cloud stands in for an imaginary plugin, and adjust changes its one resource.
func cloud(adjust func(*provider.Resource)) p.Provider {
	thing := provider.Resource{
		Token:    "cloud:index/thing:Thing",
		Args:     ThingArgs{},
		State:    &Thing{},
		Replace:  []string{"kind"},
		Secret:   []string{"token"},
		Volatile: []string{"serial"},
		AutoName: true,
		Create: func(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
			return "id-" + r.Name, obj(props{"address": str("10.0.0.1"), "serial": num(1)}), nil
		},
		Update: func(_ context.Context, r provider.UpdateRequest) (property.Map, error) {
			return obj(props{"serial": num(r.State.Get("serial").AsNumber() + 1)}), nil
		},
	}
	if adjust != nil {
		adjust(&thing)
	}
	return provider.Package{
		Name:      "cloud",
		Config:    ProviderArgs{},
		Resources: []provider.Resource{thing},
		Functions: []provider.Function{{
			Token: "cloud:index/getThing:getThing", Args: GetThingArgs{}, Result: GetThingResult{},
			Required: []string{"names"}, Secret: []string{"key"},
			Call: func(_ context.Context, args property.Map) (property.Map, error) {
				if args.Get("kind").AsString() == "broken" {
					return obj(props{"id": num(1), "surplus": str("x")}), nil
				}
				return obj(props{"id": args.Get("kind"), "key": str("k")}), nil
			},
		}},
	}.Provider()
}

func TestCheck(t *testing.T) {
	file, err := asset.FromText("x")
	require.NoError(t, err)
	tests := map[string]struct {
		inputs props
		want   []p.CheckFailure
	}{
		"everything right": {inputs: props{
			"name": str("n"), "kind": str("k"), "weight": num(1.5), "labels": property.New(props{"a": str("b")}),
			"disks":    list(property.New(props{"size": num(1), "format": str("ext4")})),
			"anything": list(num(1), str("x")), "source": property.New(file), "token": secret(str("t")),
		}},
		"unknown values have any type": {inputs: props{
			"name": str("n"), "kind": unknown, "disks": list(unknown), "weight": unknown,
		}},
		"missing": {
			inputs: props{"name": str("n")},
			want:   []p.CheckFailure{{Property: "kind", Reason: `missing required property "kind"`}},
		},
		"missing inside a list": {
			inputs: props{"name": str("n"), "kind": str("k"), "disks": list(property.New(props{"format": str("x")}))},
			want:   []p.CheckFailure{{Property: "disks[0].size", Reason: `missing required property "size"`}},
		},
		"unknown, but for its case": {
			inputs: props{"name": str("n"), "Kind": str("k")},
			want: []p.CheckFailure{
				{Property: "Kind", Reason: `unknown property "Kind", did you mean "kind"?`},
				{Property: "kind", Reason: `missing required property "kind"`},
			},
		},
		"unknown at depth": {
			inputs: props{"name": str("n"), "kind": str("k"), "disks": list(property.New(props{"size": num(1), "mount": str("/")}))},
			want:   []p.CheckFailure{{Property: "disks[0].mount", Reason: `unknown property "mount", known are: format, size`}},
		},
		"wrong types, and the secret is not shown": {
			inputs: props{
				"name": num(1), "kind": str("k"), "weight": str("1"), "labels": property.New(props{"a": num(1)}),
				"disks": property.New(props{}), "source": str("x"), "token": secret(list(str("hunter2"))),
			},
			want: []p.CheckFailure{
				{Property: "disks", Reason: "expected a list, got a map"},
				{Property: "labels.a", Reason: "expected a string, got a number"},
				{Property: "name", Reason: "expected a string, got a number"},
				{Property: "source", Reason: "expected an asset, got a string"},
				{Property: "token", Reason: "expected a string, got a list"},
				{Property: "weight", Reason: "expected a number, got a string"},
			},
		},
		"a fraction is no integer": {
			inputs: props{"name": str("n"), "kind": str("k"), "disks": list(property.New(props{"size": num(1.5)}))},
			want:   []p.CheckFailure{{Property: "disks[0].size", Reason: "expected an integer, got a number"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := cloud(nil).Check(t.Context(), p.CheckRequest{Urn: thingURN, Inputs: obj(test.inputs)})
			require.NoError(t, err)
			assert.Equal(t, test.want, got.Failures)
		})
	}
}

func TestCheckMarksAndCompletes(t *testing.T) {
	check := func(t *testing.T, adjust func(*provider.Resource), state, inputs props) p.CheckResponse {
		got, err := cloud(adjust).Check(t.Context(), p.CheckRequest{Urn: thingURN, State: obj(state), Inputs: obj(inputs)})
		require.NoError(t, err)
		return got
	}
	t.Run("a name is made up once", func(t *testing.T) {
		got := check(t, nil, nil, props{"kind": str("k")}).Inputs.Get("name").AsString()
		assert.Regexp(t, regexp.MustCompile(`^web-[0-9a-f]{7}$`), got)
		again := check(t, nil, props{"name": str(got)}, props{"kind": str("other")}).Inputs.Get("name").AsString()
		assert.Equal(t, got, again)
	})
	t.Run("a secret input is marked", func(t *testing.T) {
		got := check(t, nil, nil, props{"kind": str("k"), "token": str("t")})
		assert.True(t, got.Inputs.Get("token").Secret())
		assert.False(t, got.Inputs.Get("kind").Secret())
	})
	t.Run("a required list may not be empty", func(t *testing.T) {
		require := func(r *provider.Resource) { r.Required = []string{"disks"} }
		for _, inputs := range []props{{"kind": str("k")}, {"kind": str("k"), "disks": list()}} {
			assert.Equal(t, []p.CheckFailure{{Property: "disks", Reason: `missing required property "disks"`}},
				check(t, require, nil, inputs).Failures)
		}
	})
	t.Run("defaults come before checks", func(t *testing.T) {
		fill := func(r *provider.Resource) {
			r.Default = func(m property.Map) property.Map { return m.Set("kind", str("filled")) }
		}
		got := check(t, fill, nil, nil)
		assert.Empty(t, got.Failures)
		assert.Equal(t, "filled", got.Inputs.Get("kind").AsString())
	})
	t.Run("own checks see plain values", func(t *testing.T) {
		own := func(r *provider.Resource) {
			r.Check = func(_ context.Context, inputs property.Map) []p.CheckFailure {
				return []p.CheckFailure{{Property: "token", Reason: inputs.Get("token").AsString()}}
			}
		}
		got := check(t, own, nil, props{"kind": str("k"), "token": secret(str("t"))})
		assert.Equal(t, []p.CheckFailure{{Property: "token", Reason: "t"}}, got.Failures)
	})
}

func TestDiff(t *testing.T) {
	old := props{"name": str("n"), "kind": str("k"), "token": secret(str("t")), "disks": list(property.New(props{"size": num(1)}))}
	with := func(changes props) props {
		m := obj(old)
		for k, v := range changes {
			m = m.Set(k, v)
		}
		return m.AsMap()
	}
	noUpdate := func(r *provider.Resource) { r.Update = nil }
	tests := map[string]struct {
		adjust func(*provider.Resource)
		inputs props
		want   map[string]p.PropertyDiff
	}{
		"nothing":              {inputs: old, want: map[string]p.PropertyDiff{}},
		"secrecy is no change": {inputs: with(props{"name": secret(str("n"))}), want: map[string]p.PropertyDiff{}},
		"update":               {inputs: with(props{"name": str("m")}), want: map[string]p.PropertyDiff{"name": {Kind: p.Update, InputDiff: true}}},
		"replace":              {inputs: with(props{"kind": str("m")}), want: map[string]p.PropertyDiff{"kind": {Kind: p.UpdateReplace, InputDiff: true}}},
		"unknown":              {inputs: with(props{"kind": unknown}), want: map[string]p.PropertyDiff{"kind": {Kind: p.UpdateReplace, InputDiff: true}}},
		"inside": {
			inputs: with(props{"disks": list(property.New(props{"size": num(2)}), property.New(props{"size": num(3)}))}),
			want: map[string]p.PropertyDiff{
				"disks[0].size": {Kind: p.Update, InputDiff: true}, "disks[1]": {Kind: p.Add, InputDiff: true},
			},
		},
		"removed, without Update": {
			adjust: noUpdate,
			inputs: obj(old).Delete("token").AsMap(),
			want:   map[string]p.PropertyDiff{"token": {Kind: p.DeleteReplace, InputDiff: true}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := cloud(test.adjust).Diff(t.Context(), p.DiffRequest{
				Urn: thingURN, OldInputs: obj(old), Inputs: obj(test.inputs),
			})
			require.NoError(t, err)
			assert.Equal(t, test.want, got.DetailedDiff)
			assert.Equal(t, len(test.want) > 0, got.HasChanges)
		})
	}
}

func TestCreate(t *testing.T) {
	inputs := obj(props{"name": str("n"), "kind": secret(str("k")), "token": str("t"), "labels": property.New(props{"a": secret(str("b"))})})
	create := func(t *testing.T, adjust func(*provider.Resource), dryRun bool) (p.CreateResponse, error) {
		return cloud(adjust).Create(t.Context(), p.CreateRequest{Urn: thingURN, Properties: inputs, DryRun: dryRun})
	}

	t.Run("preview", func(t *testing.T) {
		got, err := create(t, func(r *provider.Resource) { r.Create = nil }, true)
		require.NoError(t, err)
		assert.Equal(t, obj(props{
			"name": str("n"), "kind": secret(str("k")), "token": secret(str("t")),
			"labels":  property.New(props{"a": secret(str("b"))}),
			"address": unknown, "serial": unknown, "note": unknown,
		}), got.Properties)
	})
	t.Run("real", func(t *testing.T) {
		got, err := create(t, nil, false)
		require.NoError(t, err)
		assert.Equal(t, "id-web", got.ID)
		assert.Equal(t, obj(props{
			"name": str("n"), "kind": secret(str("k")), "token": secret(str("t")),
			"labels":  property.New(props{"a": secret(str("b"))}),
			"address": str("10.0.0.1"), "serial": num(1),
		}), got.Properties)
	})
	t.Run("callbacks see plain values", func(t *testing.T) {
		_, err := create(t, func(r *provider.Resource) {
			r.Create = func(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
				return "", property.Map{}, errors.New(r.Inputs.Get("labels").AsMap().Get("a").AsString())
			}
		}, false)
		assert.EqualError(t, err, "b")
	})
	t.Run("half created", func(t *testing.T) {
		got, err := create(t, func(r *provider.Resource) {
			r.Create = func(context.Context, provider.CreateRequest) (string, property.Map, error) {
				return "half", property.Map{}, errors.New("power failure")
			}
		}, false)
		require.EqualError(t, err, "power failure")
		assert.Equal(t, "half", got.ID)
		assert.Equal(t, []string{"power failure"}, got.PartialState.Reasons)
	})
	returning := func(outputs props) func(*provider.Resource) {
		return func(r *provider.Resource) {
			r.Create = func(context.Context, provider.CreateRequest) (string, property.Map, error) {
				return "id", obj(outputs), nil
			}
		}
	}
	t.Run("an output that the SDK lacks", func(t *testing.T) {
		_, err := create(t, returning(props{"address": str("a"), "serial": num(1), "adress": str("a")}), false)
		require.ErrorContains(t, err, `cloud:index/thing:Thing has no output "adress"`)
	})
	t.Run("an output that the SDK always has", func(t *testing.T) {
		_, err := create(t, returning(props{"address": str("a")}), false)
		require.ErrorContains(t, err, `the stand-in for cloud:index/thing:Thing does not set its output "serial"`)
	})
	t.Run("another resource", func(t *testing.T) {
		_, err := cloud(nil).Create(t.Context(), p.CreateRequest{
			Urn: resource.URN(strings.ReplaceAll(string(thingURN), "Thing", "Thong")),
		})
		require.EqualError(t, err, `unrecognized resource type "cloud:index/thing:Thong": `+
			`the stand-in for cloud has [cloud:index/thing:Thing]`)
	})
}

func TestUpdate(t *testing.T) {
	request := p.UpdateRequest{
		Urn: thingURN, ID: "id-web",
		State: obj(props{
			"name": str("n"), "kind": str("k"), "weight": num(3), "token": secret(str("t")),
			"address": secret(str("10.0.0.1")), "serial": num(1), "note": str("kept"),
		}),
		OldInputs: obj(props{"name": str("n"), "kind": str("k"), "weight": num(3), "token": secret(str("t"))}),
		Inputs:    obj(props{"name": str("m"), "kind": str("k")}),
	}
	want := func(serial property.Value) property.Map {
		// The weight and the token are no longer given, so they are gone.
		return obj(props{
			"name": str("m"), "kind": str("k"),
			"address": secret(str("10.0.0.1")), "serial": serial, "note": str("kept"),
		})
	}
	t.Run("preview", func(t *testing.T) {
		request := request
		request.DryRun = true
		got, err := cloud(nil).Update(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, want(unknown), got.Properties)
	})
	t.Run("real", func(t *testing.T) {
		got, err := cloud(nil).Update(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, want(num(2)), got.Properties)
	})
}

func TestRead(t *testing.T) {
	request := p.ReadRequest{
		Urn: thingURN, ID: "id-web",
		Inputs:     obj(props{"kind": secret(str("k"))}),
		Properties: obj(props{"kind": secret(str("k")), "name": str("n"), "address": str("a"), "serial": num(1)}),
	}
	t.Run("without Read the state is right", func(t *testing.T) {
		got, err := cloud(nil).Read(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, p.ReadResponse{ID: "id-web", Inputs: request.Inputs, Properties: request.Properties}, got)
	})
	t.Run("changed behind our back", func(t *testing.T) {
		got, err := cloud(func(r *provider.Resource) {
			r.Read = func(_ context.Context, r provider.ReadRequest) (property.Map, property.Map, bool, error) {
				return r.Inputs.Set("kind", str("other")), r.State.Set("kind", str("other")), true, nil
			}
		}).Read(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, obj(props{"kind": secret(str("other"))}), got.Inputs)
		assert.Equal(t, request.Properties.Set("kind", secret(str("other"))), got.Properties)
	})
	t.Run("gone", func(t *testing.T) {
		got, err := cloud(func(r *provider.Resource) {
			r.Read = func(context.Context, provider.ReadRequest) (property.Map, property.Map, bool, error) {
				return property.Map{}, property.Map{}, false, nil
			}
		}).Read(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, p.ReadResponse{}, got)
	})
}

func TestDelete(t *testing.T) {
	var got provider.DeleteRequest
	remove := func(r *provider.Resource) {
		r.Delete = func(_ context.Context, r provider.DeleteRequest) error {
			got = r
			return errors.New("still in use")
		}
	}
	err := cloud(remove).Delete(t.Context(), p.DeleteRequest{
		Urn: thingURN, ID: "id-web",
		OldInputs:  obj(props{"kind": secret(str("k"))}),
		Properties: obj(props{"kind": secret(str("k")), "serial": num(1)}),
	})
	require.EqualError(t, err, "still in use")
	assert.Equal(t, provider.DeleteRequest{
		ID: "id-web", Inputs: obj(props{"kind": str("k")}), State: obj(props{"kind": str("k"), "serial": num(1)}),
	}, got)

	require.NoError(t, cloud(nil).Delete(t.Context(), p.DeleteRequest{Urn: thingURN}))
}

func TestInvoke(t *testing.T) {
	call := func(args props) (p.InvokeResponse, error) {
		return cloud(nil).Invoke(t.Context(), p.InvokeRequest{Token: "cloud:index/getThing:getThing", Args: obj(args)})
	}
	names := list(str("n"))

	t.Run("always secret", func(t *testing.T) {
		got, err := call(props{"kind": str("k"), "names": names})
		require.NoError(t, err)
		assert.Equal(t, p.InvokeResponse{Return: obj(props{"id": str("k"), "key": secret(str("k"))})}, got)
	})
	t.Run("secret because an argument is", func(t *testing.T) {
		got, err := call(props{"kind": str("k"), "names": list(secret(str("n")))})
		require.NoError(t, err)
		assert.Equal(t, obj(props{"id": secret(str("k")), "key": secret(str("k"))}), got.Return)
	})
	t.Run("bad arguments", func(t *testing.T) {
		got, err := call(props{"kid": str("k")})
		require.NoError(t, err)
		assert.Equal(t, []p.CheckFailure{
			{Property: "kid", Reason: `unknown property "kid", known are: kind, names`},
			{Property: "kind", Reason: `missing required property "kind"`},
			{Property: "names", Reason: `missing required property "names"`},
		}, got.Failures)
	})
	t.Run("bad result", func(t *testing.T) {
		_, err := call(props{"kind": str("broken"), "names": names})
		require.EqualError(t, err, "the stand-in for cloud:index/getThing:getThing returns something else than the SDK expects: "+
			`id: expected a string, got a number; surplus: unknown property "surplus", known are: comment, id, key; `+
			`key: missing required property "key"`)
	})
	t.Run("another function", func(t *testing.T) {
		_, err := cloud(nil).Invoke(t.Context(), p.InvokeRequest{Token: "cloud:index/get:get"})
		require.EqualError(t, err, `unrecognized function "cloud:index/get:get": `+
			`the stand-in for cloud has [cloud:index/getThing:getThing]`)
	})
}

func TestDecode(t *testing.T) {
	var got struct {
		Kind  string `pulumi:"kind"`
		Disks []disk `pulumi:"disks"`
		Other string `pulumi:"other"`
	}
	got.Other = "untouched"
	require.NoError(t, provider.Decode(obj(props{
		"kind": secret(str("k")), "disks": list(property.New(props{"size": num(3)})), "surplus": num(1),
	}), &got))
	assert.Equal(t, "k", got.Kind)
	assert.Equal(t, []disk{{Size: 3}}, got.Disks)
	assert.Equal(t, "untouched", got.Other)

	require.ErrorContains(t, provider.Decode(obj(props{"kind": list(str("hunter2"))}), &got), "decoding into *struct")
}
