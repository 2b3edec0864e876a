package recorder

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// thing is a custom resource with one output.
type thing struct {
	pulumi.CustomResourceState

	Size pulumi.StringOutput `pulumi:"size"`
}

const thingType = "test:index:Thing"

// group is a component.
type group struct{ pulumi.ResourceState }

func newThing(ctx *pulumi.Context, name string, inputs pulumi.Map, opts ...pulumi.ResourceOption) (*thing, error) {
	t := &thing{}
	return t, ctx.RegisterResource(thingType, name, inputs, t, opts...)
}

func newGroup(ctx *pulumi.Context, typeToken, name string) (*group, error) {
	g := &group{}
	return g, ctx.RegisterComponentResource(typeToken, name, g)
}

func TestDuplicateURNsFail(t *testing.T) {
	for _, test := range []struct {
		name    string
		program pulumi.RunFunc
		want    string // "" accepts the program
	}{
		{"two of one name", func(ctx *pulumi.Context) error {
			_, first := newThing(ctx, "a", nil)
			_, second := newThing(ctx, "a", nil)
			return errors.Join(first, second)
		}, "registered twice: urn:pulumi:dev::clawft::test:index:Thing::a"},
		{"one name below two components of one type", func(ctx *pulumi.Context) error {
			return belowGroups(ctx, "test:index:Group", "test:index:Group")
		}, "registered twice: urn:pulumi:dev::clawft::test:index:Group$test:index:Thing::a"},
		{"one name below components of two types", func(ctx *pulumi.Context) error {
			return belowGroups(ctx, "test:index:Group", "test:index:Team")
		}, ""},
		{"one name for two types", func(ctx *pulumi.Context) error {
			_, first := newThing(ctx, "a", nil)
			_, second := newGroup(ctx, "test:index:Group", "a")
			return errors.Join(first, second)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := (&Recorder{Stack: "dev"}).Run(test.program)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || err.Error() != test.want):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func belowGroups(ctx *pulumi.Context, types ...string) error {
	for i, typeToken := range types {
		parent, err := newGroup(ctx, typeToken, string(rune('x'+i)))
		if err != nil {
			return err
		}
		if _, err := newThing(ctx, "a", nil, pulumi.Parent(parent)); err != nil {
			return err
		}
	}
	return nil
}

func TestPlan(t *testing.T) {
	record := &Recorder{Stack: "dev"}
	err := record.Run(func(ctx *pulumi.Context) error {
		parent, err := newGroup(ctx, "test:index:Group", "parent")
		if err != nil {
			return err
		}
		first, err := newThing(ctx, "first", nil)
		if err != nil {
			return err
		}
		_, err = newThing(ctx, "second", pulumi.Map{
			"plain":  pulumi.String("seen"),
			"secret": pulumi.ToSecret(pulumi.String("planted")),
			"nested": pulumi.Map{"list": pulumi.Array{pulumi.Int(1), pulumi.ToSecret(pulumi.String("planted"))}},
			"script": pulumi.String(strings.Repeat("x", longText+1)),
		}, pulumi.Parent(parent), pulumi.DependsOn([]pulumi.Resource{first}), pulumi.Protect(true),
			pulumi.DeleteBeforeReplace(true), pulumi.RetainOnDelete(true), pulumi.IgnoreChanges([]string{"plain"}))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `test:index:Group parent
  parent: clawft-dev
test:index:Thing first
  parent: clawft-dev
test:index:Thing second
  parent: parent
  option: protect
  option: deleteBeforeReplace
  option: retainOnDelete
  option: ignoreChanges plain
  depends on: first
  nested = {"list":[1,"[secret]"]}
  plain = "seen"
  script = "[long text]"
  secret = "[secret]"
`
	if got := record.Plan(); got != want {
		t.Errorf("the plan is\n%s\nwant\n%s", got, want)
	}
}

// passOn registers a resource and another one with its output and ID as inputs.
func passOn(ctx *pulumi.Context) error {
	first, err := newThing(ctx, "first", nil, pulumi.AdditionalSecretOutputs([]string{"token"}))
	if err != nil {
		return err
	}
	_, err = newThing(ctx, "second", pulumi.Map{
		"size":   first.Size,
		"id":     first.ID(),
		"secret": pulumi.ToSecret(first.Size),
	})
	return err
}

func TestOutputs(t *testing.T) {
	for _, test := range []struct {
		name    string
		preview bool
		want    map[string]string
	}{
		{"known after an update", false, map[string]string{"size": `"large"`, "id": `"42"`, "secret": `"[secret]"`}},
		{"unknown in a preview", true, map[string]string{"size": `"[unknown]"`, "id": `"[unknown]"`, "secret": `"[secret]"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := &Recorder{
				Stack:   "dev",
				Preview: test.preview,
				IDs:     map[string]string{"first": "42"},
				Outputs: map[string]func(resource.PropertyMap) resource.PropertyMap{
					thingType: func(resource.PropertyMap) resource.PropertyMap {
						return resource.PropertyMap{"size": resource.NewProperty("large")}
					},
				},
			}
			if err := record.Run(passOn); err != nil {
				t.Fatal(err)
			}
			second := record.Find(thingType, "second")
			for key, want := range test.want {
				if got := render(second.Inputs[resource.PropertyKey(key)]); got != want {
					t.Errorf("%s is %s, want %s", key, got, want)
				}
			}
		})
	}
}

func TestOutputsStaySecret(t *testing.T) {
	for _, test := range []struct {
		name   string
		inputs pulumi.Map
		opts   []pulumi.ResourceOption
		want   string
	}{
		{"because the program says so", nil, []pulumi.ResourceOption{pulumi.AdditionalSecretOutputs([]string{"size"})}, `"[secret]"`},
		{"because the input is", pulumi.Map{"size": pulumi.ToSecret(pulumi.String("small"))}, nil, `"[secret]"`},
		{"and others do not", pulumi.Map{"size": pulumi.String("small")}, nil, `"large"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := &Recorder{Stack: "dev", Outputs: map[string]func(resource.PropertyMap) resource.PropertyMap{
				thingType: func(inputs resource.PropertyMap) resource.PropertyMap {
					return resource.PropertyMap{"size": resource.NewProperty("large")}
				},
			}}
			err := record.Run(func(ctx *pulumi.Context) error {
				first, err := newThing(ctx, "first", test.inputs, test.opts...)
				if err != nil {
					return err
				}
				_, err = newThing(ctx, "second", pulumi.Map{"given": first.Size})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := render(record.Find(thingType, "second").Inputs["given"]); got != test.want {
				t.Errorf("the output is %s, want %s", got, test.want)
			}
		})
	}
}

func TestIDsTellResourcesApart(t *testing.T) {
	record := &Recorder{Stack: "dev"}
	err := record.Run(func(ctx *pulumi.Context) error {
		one, first := newThing(ctx, "gw-1", nil)
		two, second := newThing(ctx, "gw-2", nil)
		_, third := newThing(ctx, "reader", pulumi.Map{"one": one.ID(), "two": two.ID()})
		return errors.Join(first, second, third)
	})
	if err != nil {
		t.Fatal(err)
	}
	read := record.Find(thingType, "reader").Inputs
	if one, two := render(read["one"]), render(read["two"]); one == two || one == `"[unknown]"` {
		t.Errorf("the IDs are %s and %s", one, two)
	}
}

func TestRunFails(t *testing.T) {
	for _, test := range []struct {
		name    string
		program pulumi.RunFunc
		want    string
	}{
		{"with the program", func(*pulumi.Context) error { return errors.New("out of paper") }, "out of paper"},
		{"with a function that has no answer", func(ctx *pulumi.Context) error {
			return ctx.Invoke("test:index:count", nil, &struct{}{})
		}, "the recorder has no answer for test:index:count; add one to Recorder.Functions"},
		{"with a function that fails", func(ctx *pulumi.Context) error {
			return ctx.Invoke("test:index:fail", nil, &struct{}{})
		}, "sold out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := &Recorder{Stack: "dev", Functions: map[string]func(resource.PropertyMap) (resource.PropertyMap, error){
				"test:index:fail": func(resource.PropertyMap) (resource.PropertyMap, error) { return nil, errors.New("sold out") },
			}}
			if err := record.Run(test.program); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestConfigAndMessages(t *testing.T) {
	record := &Recorder{
		Stack:      "dev",
		Config:     map[string]string{"clawft:version": "0.6.19", "clawft:token": "planted"},
		SecretKeys: []string{"clawft:token"},
	}
	err := record.Run(func(ctx *pulumi.Context) error {
		version, _ := ctx.GetConfig("clawft:version")
		return errors.Join(
			ctx.Log.Warn("deploying "+version, nil),
			ctx.Log.Info("secret: "+map[bool]string{true: "yes", false: "no"}[ctx.IsConfigSecret("clawft:token")], nil),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"deploying 0.6.19", "secret: yes"} {
		if !slices.Contains(record.Messages(), want) {
			t.Errorf("the program did not say %q but %q", want, record.Messages())
		}
	}
	if record.Find(thingType, "absent") != nil {
		t.Error("found a resource that was not registered")
	}
}
