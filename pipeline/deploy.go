package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
)

// resolveTimeout bounds the question to the source repository which commit a
// release is.
const resolveTimeout = 30 * time.Second

// Deploy is the whole pipeline of one stack: image → repository → hosts → gateways. It
// registers nothing when the configuration is wrong.
func Deploy(ctx *pulumi.Context) error {
	cfg, err := Load(ctx)
	if err != nil {
		return err
	}
	if err := cfg.checkLineEnds(ctx); err != nil {
		return err
	}
	commit, err := cfg.resolveSource(ctx.Context())
	if err != nil {
		return err
	}

	before, err := cfg.before(ctx)
	if err != nil {
		return err
	}
	promoted, err := cfg.promoted(ctx)
	if err != nil {
		return err
	}
	public, err := cfg.publication(ctx, commit, before)
	if err != nil {
		return err
	}
	if err := cfg.checkPull(ctx, cmp.Or(cfg.Image.Digest, promoted.digest, public.digest), before); err != nil {
		return err
	}

	everything := components.Collect(ctx)
	providers, err := components.NewProviders(ctx, cfg.providers())
	if err != nil {
		return err
	}
	hetzner, err := cfg.hetzner(ctx, providers, before)
	if err != nil {
		return err
	}
	if err := components.CheckRepository(ctx, providers, cfg.repositoryNeeds()); err != nil {
		return err
	}
	use := providers.Option()

	image, err := cfg.image(ctx, commit, promoted, public, use)
	if err != nil {
		return err
	}
	if err := cfg.repository(ctx, use); err != nil {
		return err
	}
	gateways, identity, err := cfg.fleet(ctx, image, hetzner, use)
	if err != nil {
		return err
	}

	if err := components.NewProtection(ctx, "protection", &components.ProtectionArgs{Protect: cfg.Protect, Of: everything}); err != nil {
		return err
	}

	ctx.Export("version", pulumi.String(cfg.Version))
	if cfg.Image.Revision > 0 {
		ctx.Export("revision", pulumi.Int(cfg.Image.Revision))
	}
	ctx.Export("image", image.ref)
	ctx.Export("digest", image.digest)
	if image.signature != nil {
		ctx.Export("publicKeys", image.signature.Keys)
	}
	ctx.Export("gateways", gateways)
	if hetzner != nil {
		ctx.Export(hetznerOutput, hetzner.IDs())
	}
	if cfg.SSH.PrivateKey == nil && identity != nil {
		ctx.Export("sshPrivateKey", identity.PrivateKey)
	}
	return nil
}

// hetzner is what there is at Hetzner, and nil for a stack that has no servers there.
func (c *Config) hetzner(ctx *pulumi.Context, providers *components.Providers, before before) (*components.Hetzner, error) {
	servers := c.servers()
	if len(servers) == 0 {
		return nil, nil
	}
	hetzner, err := components.ReadHetzner(ctx, providers, before.hetzner)
	if err != nil {
		return nil, err
	}
	return hetzner, hetzner.CheckServers(servers, c.renamed(), c.Image.Platforms)
}

// resolveSource pins a git source to a commit; it is empty for other sources.
func (c *Config) resolveSource(ctx context.Context) (components.Commit, error) {
	if !c.Image.Git() {
		return components.Commit{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	commit, err := components.ResolveCommit(ctx, c.Image.git(), c.Image.Ref)
	if err != nil {
		return components.Commit{}, fmt.Errorf("resolving clawft:image.source: %w", err)
	}
	return commit, nil
}

func (c *Config) providers() *components.ProvidersArgs {
	args := &components.ProvidersArgs{
		Build:       c.Image.Source != "" || c.Image.Publish,
		MakeBuilder: c.Image.Source != "" && c.Image.Builder.Driver != "",
	}
	if len(c.servers()) > 0 {
		args.Hcloud = &components.HcloudProviderArgs{}
	}
	if c.GitHub != nil {
		args.GitHub = &components.GitHubProviderArgs{Owner: c.GitHub.Owner}
	}
	return args
}

// release is the image that the hosts shall run.
type release struct {
	// digest is known once the image may be deployed, and ref is repository@digest.
	digest, ref pulumi.StringOutput
	// signature is nil where the hosts demand none.
	signature *components.Signature
}

// image makes what the hosts shall run. What this stack builds or publishes is
// proven first; what is only deployed was proven by who made it. Whatever has to
// be signed is, before anything public is made of it.
func (c *Config) image(ctx *pulumi.Context, commit components.Commit, from promotion, public publication, use pulumi.ResourceOption) (release, error) {
	digest, keys, err := c.digest(ctx, commit, from, public, use)
	if err != nil {
		return release{}, err
	}
	if c.Image.Source != "" || c.Image.Publish {
		gates, err := components.NewGates(ctx, "gateway", &components.GatesArgs{
			Repository:   c.Image.Repository,
			Digest:       digest,
			Version:      c.Version,
			Platforms:    c.Image.Platforms,
			SizeLimitMiB: c.Image.SizeLimitMiB,
			Smoke:        c.smoke(),
			Revision:     c.Image.Revision,
			Tags:         public.tags,
			Credentials:  c.Image.reader().component(),
		}, use)
		if err != nil {
			return release{}, err
		}
		digest = gates.Digest
	}
	signed, err := c.signature(ctx, digest, commit, keys, use)
	if err != nil {
		return release{}, err
	}
	if signed != nil {
		digest = signed.Digest
	}
	if c.Image.Publish {
		publication, err := components.NewPublication(ctx, "gateway", &components.PublicationArgs{
			Repository:      c.Image.Repository,
			Digest:          digest,
			Tags:            public.tags,
			PushCredentials: c.Image.Push.component(),
		}, use)
		if err != nil {
			return release{}, err
		}
		ctx.Export("published", publication.Refs)
	}
	return release{digest: digest, ref: pulumi.Sprintf("%s@%s", c.Image.Repository, digest), signature: signed}, nil
}

// digest returns the digest of the image: built from source, promoted from
// another stack, or given. The keys are those that its signature may be by; there
// are none where it need not have one.
func (c *Config) digest(ctx *pulumi.Context, commit components.Commit, from promotion, public publication, use pulumi.ResourceOption) (digest pulumi.StringOutput, keys []string, err error) {
	switch {
	case c.Image.Digest != "":
		return pulumi.String(c.Image.Digest).ToStringOutput(), c.Image.PublicKeys, nil
	case c.Image.PromoteFrom != "":
		if len(c.Image.PublicKeys) > 0 {
			from.publicKeys = c.Image.PublicKeys
		}
		return pulumi.String(from.digest).ToStringOutput(), from.publicKeys, nil
	}
	if public.digest != "" && !public.built {
		return pulumi.String(public.digest).ToStringOutput(), c.Image.PublicKeys, nil
	}
	inline := ""
	if c.Image.Git() {
		if inline, _, err = c.dockerfile(ctx); err != nil {
			return digest, nil, err
		}
	}
	image, err := components.NewImage(ctx, "gateway", &components.ImageArgs{
		Repository:      c.Image.Repository,
		Version:         c.Version,
		Context:         c.Image.pinned(commit.Hash),
		Rebuild:         c.Image.Revision,
		Keep:            public.built,
		Revision:        commit.Hash,
		Created:         commit.Date,
		Source:          c.Image.sourceLabel(),
		Dockerfile:      c.Image.Dockerfile,
		DockerfileText:  inline,
		Platforms:       c.Image.Platforms,
		BuildArgs:       c.Image.BuildArgs,
		Contexts:        c.Image.Contexts,
		Builder:         components.Builder(c.Image.Builder),
		Cache:           c.Image.Cache.component(),
		SourceLogin:     c.Image.sourceLogin(),
		PushCredentials: c.Image.Push.component(),
	}, use)
	if err != nil {
		return digest, nil, err
	}
	ctx.Export(builtOutput, image.Digest)
	return image.Digest, c.Image.PublicKeys, nil
}

// smoke says how the image is started before it is deployed; nil is not at all.
func (c *Config) smoke() *components.SmokeArgs {
	if !c.Image.SmokeTest {
		return nil
	}
	return &components.SmokeArgs{HealthTimeout: c.Gateway.HealthTimeout}
}

func (l *RegistryLogin) component() *components.RegistryCredentials {
	if l == nil {
		return nil
	}
	return &components.RegistryCredentials{Server: l.Server, Username: l.Username, Password: l.Password}
}
