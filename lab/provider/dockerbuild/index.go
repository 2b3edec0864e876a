package dockerbuild

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/provider"
)

// indexes implements the Index resource.
type indexes struct {
	client      *buildx.Client
	authorities []string
}

// indexArgs are an Index's inputs.
type indexArgs struct {
	Push     bool          `pulumi:"push"`
	Registry *sdk.Registry `pulumi:"registry"`
	Sources  []string      `pulumi:"sources"`
	Tag      string        `pulumi:"tag"`
}

func (a *indexArgs) logins() []sdk.Registry {
	if a.Registry == nil {
		return nil
	}
	return []sdk.Registry{*a.Registry}
}

func (i *indexes) resource() provider.Resource {
	return provider.Resource{
		Token:    indexToken,
		Args:     sdk.IndexArgs{},
		State:    &sdk.Index{},
		Required: []string{"sources"},
		Replace:  []string{"tag"},
		Volatile: []string{"ref"},
		Default: func(inputs property.Map) property.Map {
			if inputs.Get("push").IsNull() {
				inputs = inputs.Set("push", property.New(true))
			}
			if login, given := inputs.GetOk("registry"); given {
				inputs = inputs.Set("registry", hidePassword(login))
			}
			return inputs
		},
		Check: checkIndex,
		Diff:  diffIndex,
		Create: func(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
			outputs, err := i.make(ctx, r.Inputs)
			if err != nil {
				return "", property.Map{}, err
			}
			return r.Name, outputs, nil
		},
		Read: i.read,
		Update: func(ctx context.Context, r provider.UpdateRequest) (property.Map, error) {
			return i.make(ctx, r.Inputs)
		},
		Delete: i.delete,
	}
}

func checkIndex(_ context.Context, inputs property.Map) []p.CheckFailure {
	var args indexArgs
	if err := provider.Decode(known(property.New(inputs)).AsMap(), &args); err != nil {
		return []p.CheckFailure{{Reason: err.Error()}}
	}
	var failures []p.CheckFailure
	check := func(property, ref string) {
		if _, err := reference.ParseNormalizedNamed(ref); ref != "" && err != nil {
			failures = append(failures, p.CheckFailure{Property: property, Reason: err.Error()})
		}
	}
	check("target", args.Tag)
	for index, source := range args.Sources {
		check(fmt.Sprintf("refs[%d]", index), source)
	}
	return failures
}

// diffIndex leaves out what is no reason to write the tag again, and knows that
// another registry is another index.
func diffIndex(_ context.Context, _ p.DiffRequest, base p.DiffResponse) p.DiffResponse {
	changes := map[string]p.PropertyDiff{}
	for path, change := range base.DetailedDiff {
		switch path {
		case "push", "registry.password":
			continue
		case "registry.address":
			change.Kind = p.UpdateReplace
		}
		changes[path] = change
	}
	return p.DiffResponse{HasChanges: len(changes) > 0, DetailedDiff: changes}
}

// make writes the tag.
func (i *indexes) make(ctx context.Context, inputs property.Map) (property.Map, error) {
	var args indexArgs
	if err := provider.Decode(inputs, &args); err != nil {
		return property.Map{}, err
	}
	logins, err := newLogins(ctx, args.logins())
	if err != nil {
		return property.Map{}, err
	}
	config, remove, err := logins.write()
	if err != nil {
		return property.Map{}, err
	}
	defer remove()

	command := []string{"imagetools", "create", "--progress", "plain", "--tag", args.Tag}
	if !args.Push {
		command = append(command, "--dry-run")
	}
	cmd := i.client.Command(ctx, config, append(command, args.Sources...)...)
	progress := newProgress(p.GetLogger(ctx))
	cmd.Stdout, cmd.Stderr = progress, progress
	err = cmd.Run()
	progress.end()
	if err != nil {
		return property.Map{}, fmt.Errorf("creating %s from %s: %s", args.Tag, strings.Join(args.Sources, ", "), progress.reason(err))
	}
	ref, err := i.ref(ctx, &args)
	if err != nil {
		return property.Map{}, err
	}
	return property.NewMap(map[string]property.Value{"ref": property.New(ref)}), nil
}

// ref is the tag with the digest that it has in the registry now.
func (i *indexes) ref(ctx context.Context, args *indexArgs) (string, error) {
	if !args.Push {
		return args.Tag, nil
	}
	registry, err := newRegistries(ctx, i.authorities, args.logins())
	if err != nil {
		return "", err
	}
	digest, err := registry.digest(ctx, args.Tag)
	if err != nil {
		return "", err
	}
	if ref, ok := withDigest(args.Tag, digest); ok {
		return ref, nil
	}
	return args.Tag, nil
}

func (i *indexes) read(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	var args indexArgs
	if err := provider.Decode(r.Inputs, &args); err != nil {
		return r.Inputs, r.State, false, err
	}
	ref, err := i.ref(ctx, &args)
	switch {
	case errors.Is(err, errNotFound):
		return r.Inputs, r.State, false, nil
	case errors.Is(err, errUnauthorized):
		p.GetLogger(ctx).Warning("invalid credentials, skipping")
		return r.Inputs, r.State, true, nil
	case err != nil:
		return r.Inputs, r.State, false, err
	}
	return r.Inputs, r.State.Set("ref", property.New(ref)), true, nil
}

// delete removes the manifest that the tag points at. A registry that does not
// allow it keeps it.
func (i *indexes) delete(ctx context.Context, r provider.DeleteRequest) error {
	var args indexArgs
	if err := provider.Decode(r.State, &args); err != nil {
		return err
	}
	if !args.Push {
		return nil
	}
	registry, err := newRegistries(ctx, i.authorities, args.logins())
	if err != nil {
		return err
	}
	err = registry.delete(ctx, r.State.Get("ref").AsString())
	if errors.Is(err, errRefused) {
		p.GetLogger(ctx).Warning("this registry does not support deletions")
		return nil
	}
	return err
}
