package components

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/registry"
)

// ImageArgs describes an image to build and push.
type ImageArgs struct {
	// Repository is registry/path in lower case, without a tag.
	Repository string
	// Version is the release version; it becomes a label and the build argument
	// VERSION.
	Version string
	// Context is the build context: a directory, relative to the project so that
	// it is the same on every machine, or a git URL with a commit as its
	// fragment.
	Context string
	// Rebuild is the revision of a version that is built again on purpose, or 0.
	// Nothing of an earlier build is used for it.
	Rebuild int
	// Keep is set where the image in the state is the one that is wanted: it is
	// not built again for changed inputs.
	Keep bool
	// Revision is the commit that the context was taken from, if known.
	Revision string
	// Created is that commit's date, or zero. It is not the time of the build,
	// because an image of the same source would then never be the same.
	Created time.Time
	// Source is the address of the source repository, for the image's labels.
	Source string
	// Dockerfile is a path relative to the project.
	Dockerfile string
	// DockerfileText is the Dockerfile itself. It is needed with a git context,
	// in which a path means a file of that repository.
	DockerfileText string
	// Platforms are those of the image, such as "linux/arm64".
	Platforms []string
	// BuildArgs are passed to the Dockerfile. They end up in the image's
	// history, so none may be secret.
	BuildArgs map[string]string
	// Contexts are named build contexts, which replace a FROM of the same name.
	Contexts map[string]string
	Builder  Builder
	Cache    Cache
	// SourceLogin reads a private git context; nil is a public one.
	SourceLogin *SourceLogin
	// PushCredentials is nil where the registry is used anonymously or the
	// machine that builds is logged in already.
	PushCredentials *RegistryCredentials
}

// SourceLogin is how the build logs in to the git repository that is its context.
// Neither way leaves anything in the image.
type SourceLogin struct {
	// SSH uses the agent of the machine that builds.
	SSH bool
	// Host and Header are for HTTP: a host with its port, and the value of the header
	// Authorization.
	Host   string
	Header pulumi.StringInput
}

// Builder says which buildx builder builds: by default the one that docker-build
// finds on the machine that runs it, which is Docker's current one if it can.
type Builder struct {
	// Name of the builder, such as "clawft", or "".
	Name string
	// Driver makes the builder, if it is given: "docker-container", "kubernetes" or
	// "remote". What is in the state then exists on one machine only.
	Driver string
	// Endpoint is where a remote BuildKit listens, such as unix:///run/buildkitd.sock.
	Endpoint string
}

// Cache says where build layers are kept between builds.
type Cache struct {
	// Type is "gha" (inside GitHub Actions), "registry", "local" or "".
	Type string
	// Ref is the repository of a registry cache or the directory of a local one.
	Ref string
}

// RevisionLabel names the commit that an image was built from.
const RevisionLabel = "org.opencontainers.image.revision"

// Image is an image that was built once for all platforms and pushed by digest.
// No tag points to it until a Publication is made of it. A preview neither
// builds nor pushes.
type Image struct {
	pulumi.ResourceState

	// Digest is the digest of the image index, sha256:….
	Digest pulumi.StringOutput
	// Ref is repository@digest.
	Ref pulumi.StringOutput
}

// NewImage registers the build, and the builder if it is to be made.
func NewImage(ctx *pulumi.Context, name string, args *ImageArgs, opts ...pulumi.ResourceOption) (*Image, error) {
	if len(args.Platforms) == 0 {
		return nil, errors.New("an image needs at least one platform (ImageArgs.Platforms)")
	}
	image := &Image{}
	if err := ctx.RegisterComponentResource("clawft:index:Image", name, image, opts...); err != nil {
		return nil, err
	}
	parent := pulumi.Parent(image)

	builder, err := args.Builder.register(ctx, name+"-builder", parent)
	if err != nil {
		return nil, err
	}
	// An image that was published outlives the stack.
	opts = []pulumi.ResourceOption{parent, pulumi.RetainOnDelete(true)}
	if args.Keep {
		opts = append(opts, pulumi.IgnoreChanges([]string{"*"}))
	}
	cacheFrom, cacheTo := args.Cache.exchange()
	buildArgs := &dockerbuild.ImageArgs{
		Builder:        builder,
		Context:        dockerbuild.BuildContextArgs{Location: pulumi.String(args.Context), Named: namedContexts(args.Contexts)},
		Dockerfile:     args.dockerfile(),
		Platforms:      platformArray(args.Platforms),
		BuildArgs:      pulumi.ToStringMap(args.buildArgs()),
		Labels:         pulumi.ToStringMap(args.labels()),
		CacheFrom:      cacheFrom,
		CacheTo:        cacheTo,
		Registries:     args.registries(),
		NoCache:        args.noCache(),
		BuildOnPreview: pulumi.Bool(false),
		// The export below pushes. This flag would add a second one, by tag.
		Push: pulumi.Bool(false),
		Exports: dockerbuild.ExportArray{dockerbuild.ExportArgs{
			Registry: dockerbuild.ExportRegistryArgs{
				Names:         pulumi.ToStringArray([]string{args.Repository}),
				Push:          pulumi.Bool(true),
				PushByDigest:  pulumi.Bool(true),
				OciMediaTypes: pulumi.Bool(true),
			},
		}},
	}
	args.SourceLogin.give(buildArgs)
	build, err := dockerbuild.NewImage(ctx, name+"-build", buildArgs, opts...)
	if err != nil {
		return nil, fmt.Errorf("registering the build: %w", err)
	}

	image.Digest = build.Digest
	image.Ref = pulumi.Sprintf("%s@%s", args.Repository, build.Digest)
	return image, ctx.RegisterResourceOutputs(image, pulumi.Map{
		"digest": image.Digest,
		"ref":    image.Ref,
	})
}

// register returns what a build names as its builder: nil for the one that
// docker-build finds.
func (b Builder) register(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (dockerbuild.BuilderConfigPtrInput, error) {
	switch {
	case b.Name == "":
		return nil, nil
	case b.Driver == "":
		return dockerbuild.BuilderConfigArgs{Name: pulumi.String(b.Name)}, nil
	}
	args := &docker.BuildxBuilderArgs{
		Name: pulumi.String(b.Name),
		// With its node named, as buildx itself would name it, a builder that
		// exists is used instead of refused.
		Node:   pulumi.String(b.Name + "0"),
		Driver: pulumi.String(b.Driver),
		// Left as it is otherwise: the user's default builder is not ours to change.
		Use: pulumi.Bool(false),
	}
	if b.Endpoint != "" {
		args.Endpoint = pulumi.String(b.Endpoint)
	}
	// Other stacks may build with it: it stays when this one goes.
	made, err := docker.NewBuildxBuilder(ctx, name, args, append(opts, pulumi.RetainOnDelete(true))...)
	if err != nil {
		return nil, fmt.Errorf("registering the builder: %w", err)
	}
	return dockerbuild.BuilderConfigArgs{Name: made.Name}, nil
}

// give passes the login on to BuildKit, which asks for secrets of such names:
// https://docs.docker.com/build/building/secrets/#git-authentication-for-remote-contexts
func (l *SourceLogin) give(build *dockerbuild.ImageArgs) {
	switch {
	case l == nil:
	case l.SSH:
		build.Ssh = dockerbuild.SSHArray{dockerbuild.SSHArgs{Id: pulumi.String("default")}}
	default:
		secret := "GIT_AUTH_HEADER." + l.Host
		build.Secrets = pulumi.StringMap{secret: pulumi.ToSecret(l.Header.ToStringOutput()).(pulumi.StringOutput)}
		// Another token is no other source, and the next build uses it all the same.
		build.IgnoreSecretsInDiffCalculation = pulumi.ToStringArray([]string{secret})
	}
}

// noCache is left out where the cache is used, as everywhere else.
func (args *ImageArgs) noCache() pulumi.BoolPtrInput {
	if args.Rebuild == 0 {
		return nil
	}
	return pulumi.Bool(true)
}

func (args *ImageArgs) dockerfile() dockerbuild.DockerfileArgs {
	if args.DockerfileText != "" {
		return dockerbuild.DockerfileArgs{Inline: pulumi.String(args.DockerfileText)}
	}
	return dockerbuild.DockerfileArgs{Location: pulumi.String(args.Dockerfile)}
}

func (args *ImageArgs) buildArgs() map[string]string {
	all := maps.Clone(args.BuildArgs)
	if all == nil {
		all = map[string]string{}
	}
	all["VERSION"] = args.Version
	if args.Revision != "" {
		all["REVISION"] = args.Revision
	}
	if created := args.created(); created != "" {
		all["CREATED"] = created
	}
	if args.Source != "" {
		all["SOURCE"] = args.Source
	}
	// A frontend option: an index also for a single platform. Tagging one
	// otherwise wraps it in a new index, and the digest that was tested is not
	// the one that is published.
	all["BUILDKIT_MULTI_PLATFORM"] = "1"
	return all
}

func (args *ImageArgs) labels() map[string]string {
	labels := map[string]string{"org.opencontainers.image.version": registry.Tag(args.Version, args.Rebuild)}
	if args.Revision != "" {
		labels[RevisionLabel] = args.Revision
	}
	if created := args.created(); created != "" {
		labels["org.opencontainers.image.created"] = created
	}
	if args.Source != "" {
		labels["org.opencontainers.image.source"] = args.Source
	}
	return labels
}

// created is the date as the image specification wants it, or "" if unknown.
func (args *ImageArgs) created() string {
	if args.Created.IsZero() {
		return ""
	}
	return args.Created.UTC().Format(time.RFC3339)
}

func (args *ImageArgs) registries() dockerbuild.RegistryArray {
	if args.PushCredentials == nil {
		return nil
	}
	return dockerbuild.RegistryArray{dockerbuild.RegistryArgs{
		Address:  pulumi.String(args.PushCredentials.Server),
		Username: pulumi.String(args.PushCredentials.Username),
		// The SDK does not make it secret.
		Password: pulumi.ToSecret(args.PushCredentials.Password.ToStringOutput().ToStringPtrOutput()).(pulumi.StringPtrOutput),
	}}
}

// exchange returns where the build reads and writes cached layers.
func (cache Cache) exchange() (dockerbuild.CacheFromArray, dockerbuild.CacheToArray) {
	switch cache.Type {
	case "gha":
		return dockerbuild.CacheFromArray{dockerbuild.CacheFromArgs{Gha: dockerbuild.CacheFromGitHubActionsArgs{}}},
			dockerbuild.CacheToArray{dockerbuild.CacheToArgs{Gha: dockerbuild.CacheToGitHubActionsArgs{
				Mode:        dockerbuild.CacheModeMax,
				IgnoreError: pulumi.Bool(true),
			}}}
	case "registry":
		return dockerbuild.CacheFromArray{dockerbuild.CacheFromArgs{Registry: dockerbuild.CacheFromRegistryArgs{
				Ref: pulumi.String(cache.Ref),
			}}},
			dockerbuild.CacheToArray{dockerbuild.CacheToArgs{Registry: dockerbuild.CacheToRegistryArgs{
				Ref:  pulumi.String(cache.Ref),
				Mode: dockerbuild.CacheModeMax,
				// An index of layers, which is what BuildKit writes otherwise, is refused
				// by registries that want manifests in an index.
				ImageManifest: pulumi.Bool(true),
				OciMediaTypes: pulumi.Bool(true),
				IgnoreError:   pulumi.Bool(true),
			}}}
	case "local":
		return dockerbuild.CacheFromArray{dockerbuild.CacheFromArgs{Local: dockerbuild.CacheFromLocalArgs{
				Src: pulumi.String(cache.Ref),
			}}},
			// The plugin drops the mode of a local cache, which would then lack the
			// layers of all stages but the last.
			dockerbuild.CacheToArray{dockerbuild.CacheToArgs{Raw: pulumi.String("type=local,mode=max,ignore-error=true,dest=" + cache.Ref)}}
	default:
		return nil, nil
	}
}

func platformArray(platforms []string) dockerbuild.PlatformArray {
	array := make(dockerbuild.PlatformArray, len(platforms))
	for i, platform := range platforms {
		array[i] = dockerbuild.Platform(platform)
	}
	return array
}

func namedContexts(contexts map[string]string) dockerbuild.ContextMap {
	if len(contexts) == 0 {
		return nil
	}
	named := dockerbuild.ContextMap{}
	for name, location := range contexts {
		named[name] = dockerbuild.ContextArgs{Location: pulumi.String(location)}
	}
	return named
}
