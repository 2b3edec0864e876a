package components

import (
	"fmt"

	"github.com/pulumi/pulumi-command/sdk/go/command"
	"github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ProvidersArgs says which providers a stack needs and with which credentials.
type ProvidersArgs struct {
	// Hcloud is set when the stack has Hetzner servers.
	Hcloud *HcloudProviderArgs
	// GitHub is set when the stack manages a repository.
	GitHub *GitHubProviderArgs
	// Build is true when the stack builds or publishes an image.
	Build bool
	// MakeBuilder is true when the stack makes a buildx builder.
	MakeBuilder bool
}

// HcloudProviderArgs configures access to the Hetzner Cloud API. Fields left
// nil are those of the stack's configuration (hcloud:token, hcloud:endpoint), or
// read by the plugin from its environment (HCLOUD_TOKEN, HCLOUD_ENDPOINT).
type HcloudProviderArgs struct {
	Token    pulumi.StringPtrInput
	Endpoint pulumi.StringPtrInput
}

// GitHubProviderArgs configures access to the GitHub API. Fields left nil are
// those of the stack's configuration (github:token, github:baseUrl), or read by
// the plugin from its environment (GITHUB_TOKEN, GITHUB_BASE_URL).
type GitHubProviderArgs struct {
	Owner   string
	Token   pulumi.StringPtrInput
	BaseURL pulumi.StringPtrInput
}

// Providers are the explicit providers of a stack, one per plugin that it uses,
// so that no resource silently picks up ambient configuration.
type Providers struct {
	all    []pulumi.ProviderResource
	hcloud *hcloud.Provider
	github *github.Provider
}

// githubVersion is that of the SDK in go.mod.
const githubVersion = "6.14.1"

// newGitHubProvider registers what github.NewProvider does, but for what that
// reads from the environment of whoever runs the program: the plugin reads it
// too, and a token in the state would be a change for everybody who has another.
func newGitHubProvider(ctx *pulumi.Context, name string, args *github.ProviderArgs, opts ...pulumi.ResourceOption) (*github.Provider, error) {
	if args.Token != nil {
		args.Token = pulumi.ToSecret(args.Token).(pulumi.StringPtrInput)
	}
	provider := &github.Provider{}
	return provider, ctx.RegisterResource("pulumi:providers:github", name, args, provider,
		append(opts, pulumi.AdditionalSecretOutputs([]string{"token"}), pulumi.Version(githubVersion))...)
}

// Option passes the providers to a top component; its children inherit them.
func (p *Providers) Option() pulumi.ResourceOption {
	return pulumi.Providers(p.all...)
}

// NewProviders registers the providers.
func NewProviders(ctx *pulumi.Context, args *ProvidersArgs) (*Providers, error) {
	providers := &Providers{}

	cmd, err := command.NewProvider(ctx, "command", nil, configured(ctx, "command"))
	if err != nil {
		return nil, fmt.Errorf("registering the command provider: %w", err)
	}
	providers.all = append(providers.all, cmd)

	keys, err := tls.NewProvider(ctx, "tls", nil, configured(ctx, "tls"))
	if err != nil {
		return nil, fmt.Errorf("registering the tls provider: %w", err)
	}
	providers.all = append(providers.all, keys)

	if args.Hcloud != nil {
		cloudInit, err := newCloudinitProvider(ctx, "cloudinit")
		if err != nil {
			return nil, fmt.Errorf("registering the cloudinit provider: %w", err)
		}
		cloud, err := hcloud.NewProvider(ctx, "hcloud", &hcloud.ProviderArgs{
			Token:    args.Hcloud.Token,
			Endpoint: args.Hcloud.Endpoint,
		}, configured(ctx, "hcloud"))
		if err != nil {
			return nil, fmt.Errorf("registering the hcloud provider: %w", err)
		}
		providers.all = append(providers.all, cloudInit, cloud)
		providers.hcloud = cloud
	}

	// Where no host is configured, the SDKs and the plugins would write DOCKER_HOST
	// into the state, which is another one on each machine. Docker's client reads it
	// all the same.
	ownHost := pulumi.IgnoreChanges([]string{"host"})
	if args.Build {
		buildArgs := &dockerbuild.ProviderArgs{}
		opts := []pulumi.ResourceOption{configured(ctx, "docker-build", "host")}
		if _, given := ctx.GetConfig("docker-build:host"); !given {
			buildArgs.Host = pulumi.String("")
			opts = append(opts, ownHost)
		}
		build, err := dockerbuild.NewProvider(ctx, "docker-build", buildArgs, opts...)
		if err != nil {
			return nil, fmt.Errorf("registering the docker-build provider: %w", err)
		}
		providers.all = append(providers.all, build)
	}

	if args.MakeBuilder {
		engineArgs := &docker.ProviderArgs{}
		opts := []pulumi.ResourceOption{configured(ctx, "docker", "host")}
		if _, given := ctx.GetConfig("docker:host"); !given {
			engineArgs.Host = pulumi.String("")
			opts = append(opts, ownHost)
		}
		if _, given := ctx.GetConfig("docker:disableDockerDaemonCheck"); !given {
			// Of a remote builder no Docker daemon takes part, and a preview needs none.
			engineArgs.DisableDockerDaemonCheck = pulumi.Bool(true)
		}
		engine, err := docker.NewProvider(ctx, "docker", engineArgs, opts...)
		if err != nil {
			return nil, fmt.Errorf("registering the docker provider: %w", err)
		}
		providers.all = append(providers.all, engine)
	}

	if args.GitHub != nil {
		hub, err := newGitHubProvider(ctx, "github", &github.ProviderArgs{
			Owner:   pulumi.String(args.GitHub.Owner),
			Token:   args.GitHub.Token,
			BaseUrl: args.GitHub.BaseURL,
		}, configured(ctx, "github"))
		if err != nil {
			return nil, fmt.Errorf("registering the github provider: %w", err)
		}
		providers.all = append(providers.all, hub)
		providers.github = hub
	}
	return providers, nil
}
