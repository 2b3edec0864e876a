package dockerbuild

import (
	"context"
	"errors"
	"fmt"

	"github.com/distribution/reference"
	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/provider"
)

// images implements the Image resource.
type images struct {
	client      *buildx.Client
	dir         string
	authorities []string
}

func (i *images) resource() provider.Resource {
	return provider.Resource{
		Token:    imageToken,
		Args:     sdk.ImageArgs{},
		State:    &sdk.Image{},
		Secret:   []string{"secrets"},
		Volatile: []string{"contextHash", "digest", "ref"},
		Default:  i.defaults,
		Check:    i.check,
		Diff:     i.diff,
		Create: func(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
			state, err := i.make(ctx, r.Inputs, false)
			if err != nil {
				return "", property.Map{}, err
			}
			id := r.Name
			if state.Digest != "" {
				id = state.Digest
			}
			return id, state.outputs(), nil
		},
		Read: i.read,
		Update: func(ctx context.Context, r provider.UpdateRequest) (property.Map, error) {
			state, err := i.make(ctx, r.Inputs, false)
			return state.outputs(), err
		},
		Delete: i.delete,
	}
}

// make builds the image and says what came out. In a preview it does so only
// on demand, without pushing.
func (i *images) make(ctx context.Context, inputs property.Map, preview bool) (imageState, error) {
	args, err := decodeImage(inputs)
	if err != nil {
		return imageState{}, err
	}
	state := imageState{Ref: firstTag(args.Tags)}
	if state.ContextHash, err = contextHash(i.dir, &args); err != nil {
		return state, fmt.Errorf("hashing build context: %w", err)
	}
	if preview {
		if !args.BuildOnPreview {
			return state, nil
		}
		if property.New(inputs).HasComputed() {
			p.GetLogger(ctx).Warning("Skipping preview build because some inputs are unknown.")
			return state, nil
		}
	}
	if state.Digest, err = i.build(ctx, &args, preview); err != nil {
		return state, err
	}
	if state.Digest != "" {
		for _, tag := range args.Tags {
			if ref, ok := withDigest(tag, state.Digest); ok {
				state.Ref = ref
				break
			}
		}
	}
	return state, nil
}

func firstTag(tags []string) string {
	for _, tag := range tags {
		if _, err := reference.ParseNormalizedNamed(tag); err == nil {
			return tag
		}
	}
	return ""
}

// read drops tags that the registry does not have any more at that digest, and
// the image when none is left. An image that was pushed without a tag is taken
// on trust.
func (i *images) read(ctx context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	args, err := decodeImage(r.Inputs)
	if err != nil {
		return r.Inputs, r.State, false, err
	}
	var recorded struct {
		Digest string   `pulumi:"digest"`
		Tags   []string `pulumi:"tags"`
	}
	if err := provider.Decode(r.State, &recorded); err != nil {
		return r.Inputs, r.State, false, err
	}
	if !args.isExported() || len(args.Tags) == 0 {
		return r.Inputs, r.State, true, nil
	}
	registry, err := newRegistries(ctx, i.authorities, args.Registries)
	if err != nil {
		return r.Inputs, r.State, false, err
	}

	var kept []property.Value
	for _, tag := range recorded.Tags {
		ref, ok := withDigest(tag, recorded.Digest)
		if !ok {
			kept = append(kept, property.New(tag))
			continue
		}
		_, err := registry.digest(ctx, ref)
		switch {
		case err == nil:
			kept = append(kept, property.New(tag))
		case errors.Is(err, errNotFound):
			p.GetLogger(ctx).Warning(err.Error())
		default:
			// A registry that cannot be asked is no proof of absence.
			p.GetLogger(ctx).Warning("unable to verify image tags, leaving state unchanged: " + err.Error())
			return r.Inputs, r.State, true, nil
		}
	}
	return r.Inputs, r.State.Set("tags", property.New(kept)), len(kept) > 0, nil
}

// delete removes the image from each repository that it was pushed to under a
// tag. Registries may refuse that, so it is no error if one does.
func (i *images) delete(ctx context.Context, r provider.DeleteRequest) error {
	var recorded struct {
		Digest     string         `pulumi:"digest"`
		Tags       []string       `pulumi:"tags"`
		Registries []sdk.Registry `pulumi:"registries"`
	}
	if err := provider.Decode(r.State, &recorded); err != nil {
		return err
	}
	if recorded.Digest == "" {
		return nil
	}
	registry, err := newRegistries(ctx, i.authorities, recorded.Registries)
	if err != nil {
		return err
	}
	for _, tag := range recorded.Tags {
		ref, ok := withDigest(tag, recorded.Digest)
		if !ok {
			continue
		}
		if err := registry.delete(ctx, ref); err != nil {
			p.GetLogger(ctx).Warning(err.Error())
		}
	}
	return nil
}
