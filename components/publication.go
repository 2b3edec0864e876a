package components

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// PublicationArgs says under which tags an image becomes public.
type PublicationArgs struct {
	// Repository is registry/path in lower case, without a tag.
	Repository string
	// Digest of the image's index. Take it from Gates: what is published is
	// proven.
	Digest pulumi.StringInput
	// Tags are those that the image gets, such as 0.6.19, 0.6 and latest. Which
	// ones a release may move is decided by registry.PublicTags.
	Tags []string
	// PushCredentials is nil where this machine is logged in to the registry.
	PushCredentials *RegistryCredentials
}

// Publication is an image under its public tags. Each tag is the very index that
// was proven, not a copy of it with a digest of its own.
//
// A tag stays in the registry when it leaves the stack: what others pull is not
// taken away, and docker-build would delete the image itself, by its digest, with
// every other tag on it.
type Publication struct {
	pulumi.ResourceState

	// Refs are repository:tag of all tags.
	Refs pulumi.StringArrayOutput
}

// NewPublication registers the tags. Each is a resource that is named by its
// tag, so that a new release adds one and replaces none.
func NewPublication(ctx *pulumi.Context, name string, args *PublicationArgs, opts ...pulumi.ResourceOption) (*Publication, error) {
	if len(args.Tags) == 0 {
		return nil, errors.New("a publication needs at least one tag (PublicationArgs.Tags)")
	}
	publication := &Publication{}
	if err := ctx.RegisterComponentResource("clawft:index:Publication", name, publication, opts...); err != nil {
		return nil, err
	}
	var login dockerbuild.RegistryPtrInput
	if args.PushCredentials != nil {
		login = dockerbuild.RegistryArgs{
			Address:  pulumi.String(args.PushCredentials.Server),
			Username: pulumi.String(args.PushCredentials.Username),
			Password: args.PushCredentials.Password.ToStringOutput().ToStringPtrOutput(),
		}
	}
	var refs pulumi.StringArray
	for _, tag := range args.Tags {
		ref := args.Repository + ":" + tag
		index, err := dockerbuild.NewIndex(ctx, name+"-tag-"+tag, &dockerbuild.IndexArgs{
			Tag:      pulumi.String(ref),
			Sources:  pulumi.StringArray{pulumi.Sprintf("%s@%s", args.Repository, args.Digest)},
			Push:     pulumi.Bool(true),
			Registry: login,
		}, pulumi.Parent(publication), pulumi.RetainOnDelete(true))
		if err != nil {
			return nil, fmt.Errorf("registering the tag %s: %w", tag, err)
		}
		// Known only once the tag is written.
		refs = append(refs, index.Ref.ApplyT(func(string) string { return ref }).(pulumi.StringOutput))
	}
	publication.Refs = refs.ToStringArrayOutput()
	return publication, ctx.RegisterResourceOutputs(publication, pulumi.Map{"refs": publication.Refs})
}
