package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

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

	tags, err := cfg.publicTags(ctx)
	if err != nil {
		return err
	}

	everything := components.Collect(ctx)
	providers, err := components.NewProviders(ctx, cfg.providers(ctx))
	if err != nil {
		return err
	}
	if err := components.CheckServers(ctx, providers, cfg.servers(), cfg.Image.Platforms); err != nil {
		return err
	}
	use := providers.Option()

	image, err := cfg.image(ctx, commit, tags, use)
	if err != nil {
		return err
	}
	if err := cfg.repository(ctx, use); err != nil {
		return err
	}
	hosts, identity, err := cfg.hosts(ctx, use)
	if err != nil {
		return err
	}
	gateways, err := cfg.gateways(ctx, hosts, image, use)
	if err != nil {
		return err
	}

	if err := components.NewProtection(ctx, "protection", &components.ProtectionArgs{Protect: cfg.Protect, Of: everything}); err != nil {
		return err
	}

	ctx.Export("version", pulumi.String(cfg.Version))
	ctx.Export("image", image.ref)
	ctx.Export("digest", image.digest)
	if image.signature != nil {
		ctx.Export("publicKeys", image.signature.Keys)
	}
	ctx.Export("gateways", gateways)
	if cfg.SSH.PrivateKey == nil && identity != nil {
		ctx.Export("sshPrivateKey", identity.PrivateKey)
	}
	return nil
}

// resolveSource pins a git source to a commit; it is empty for other sources.
func (c *Config) resolveSource(ctx context.Context) (components.Commit, error) {
	if !c.Image.Git() {
		return components.Commit{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	commit, err := components.ResolveCommit(ctx, c.Image.Source, c.Image.Ref)
	if err != nil {
		return components.Commit{}, fmt.Errorf("resolving clawft:image.source: %w", err)
	}
	return commit, nil
}

func (c *Config) providers(ctx *pulumi.Context) *components.ProvidersArgs {
	args := &components.ProvidersArgs{
		Build:       c.Image.Source != "" || c.Image.Publish,
		MakeBuilder: c.Image.Source != "" && c.Image.Builder.Driver != "",
	}
	if len(c.servers()) > 0 {
		cloud := config.New(ctx, "hcloud")
		args.Hcloud = &components.HcloudProviderArgs{
			Token:    secretOrNil(cloud, "token"),
			Endpoint: stringOrNil(cloud, "endpoint"),
		}
	}
	if c.GitHub != nil {
		hub := config.New(ctx, "github")
		args.GitHub = &components.GitHubProviderArgs{
			Owner:   c.GitHub.Owner,
			Token:   secretOrNil(hub, "token"),
			BaseURL: stringOrNil(hub, "baseUrl"),
		}
	}
	return args
}

// secretOrNil leaves a credential that the stack does not configure to the
// plugin, which reads it from its environment.
func secretOrNil(c *config.Config, key string) pulumi.StringPtrInput {
	value, err := c.TrySecret(key)
	if err != nil {
		return nil
	}
	return value.ToStringPtrOutput()
}

func stringOrNil(c *config.Config, key string) pulumi.StringPtrInput {
	value, err := c.Try(key)
	if err != nil {
		return nil
	}
	return pulumi.StringPtr(value)
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
func (c *Config) image(ctx *pulumi.Context, commit components.Commit, tags []string, use pulumi.ResourceOption) (release, error) {
	digest, keys, err := c.digest(ctx, commit, use)
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
			Unpublished:  c.Image.Publish,
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
			Tags:            tags,
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
func (c *Config) digest(ctx *pulumi.Context, commit components.Commit, use pulumi.ResourceOption) (digest pulumi.StringOutput, keys []string, err error) {
	switch {
	case c.Image.Digest != "":
		return pulumi.String(c.Image.Digest).ToStringOutput(), c.Image.PublicKeys, nil
	case c.Image.PromoteFrom != "":
		from, err := c.promoted(ctx)
		if len(c.Image.PublicKeys) > 0 {
			from.publicKeys = c.Image.PublicKeys
		}
		return pulumi.String(from.digest).ToStringOutput(), from.publicKeys, err
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
		PushCredentials: c.Image.Push.component(),
	}, use)
	if err != nil {
		return digest, nil, err
	}
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

// hosts registers the machines. The identity is nil when there are none.
func (c *Config) hosts(ctx *pulumi.Context, use pulumi.ResourceOption) ([]*components.Host, *components.Identity, error) {
	// Also for hosts that are only deleted.
	unreachable, err := components.NewUnreachable(ctx)
	if err != nil || len(c.Hosts) == 0 {
		return nil, nil, err
	}
	servers := c.servers()
	identity, err := components.NewIdentity(ctx, "ssh", &components.IdentityArgs{
		PrivateKey: c.SSH.PrivateKey,
		Servers:    len(servers) > 0,
	}, use)
	if err != nil {
		return nil, nil, err
	}
	labels := map[string]string{"project": ctx.Project(), "stack": ctx.Stack(), "managed-by": "pulumi"}
	var access *components.Access
	if len(servers) > 0 {
		access, err = components.NewAccess(ctx, "access", &components.AccessArgs{
			FirstBootKey:   identity.FirstBootKey,
			AllowedSources: c.SSH.AllowedSources,
			Labels:         labels,
		}, use)
		if err != nil {
			return nil, nil, err
		}
	}
	owner, err := components.NewOwner(ctx, "owner", use)
	if err != nil {
		return nil, nil, err
	}
	hosts := make([]*components.Host, len(c.Hosts))
	for i, host := range c.Hosts {
		args := &components.HostArgs{
			Owner:          owner,
			Was:            host.Was,
			TakeOver:       host.TakeOver,
			GiveUp:         host.GiveUp,
			Unreachable:    unreachable,
			Access:         access,
			Identity:       identity,
			AuthorizedKeys: c.SSH.AuthorizedKeys,
			Protect:        c.Protect,
			Labels:         labels,
		}
		if host.Hcloud != nil {
			server := servers[host.Name]
			args.Server = &server
		} else {
			args.Machine = &components.ExistingMachine{
				Address: host.Address, Port: host.Port, User: host.User, HostKey: host.HostKey,
			}
		}
		hosts[i], err = components.NewHost(ctx, host.Name, args, use)
		if err != nil {
			return nil, nil, err
		}
	}
	return hosts, identity, nil
}

// servers are the hosts that are created at Hetzner, by name.
func (c *Config) servers() map[string]components.HcloudServer {
	servers := map[string]components.HcloudServer{}
	for _, host := range c.Hosts {
		if host.Hcloud != nil {
			servers[host.Name] = components.HcloudServer(*host.Hcloud)
		}
	}
	return servers
}

// gateways deploys to the first host, the canary, and only when that one is
// verified to all the others at once. Hosts that are given up keep what they have.
func (c *Config) gateways(ctx *pulumi.Context, hosts []*components.Host, image release, use pulumi.ResourceOption) (pulumi.Map, error) {
	document, err := c.Gateway.JSON()
	if err != nil {
		return nil, fmt.Errorf("rendering the gateway's config.json: %w", err)
	}
	var proof pulumi.StringInput
	if image.signature != nil {
		proof = image.signature.Proof
	}
	outputs := pulumi.Map{}
	var canary *components.Gateway
	for i, host := range hosts {
		released := image.ref
		if canary != nil {
			// A component's DependsOn does not reach its children, and the canary's
			// image is known only when it is verified: the data edge is the order.
			released = pulumi.All(image.ref, canary.Image).ApplyT(func(all []any) string {
				return all[0].(string)
			}).(pulumi.StringOutput)
		}
		name := c.Hosts[i].Name
		gateway, err := components.NewGateway(ctx, name, &components.GatewayArgs{
			Host:            host,
			Image:           released,
			Version:         c.Version,
			Config:          document,
			Secrets:         c.Environment(),
			PullCredentials: c.Image.Pull.component(),
			Signature:       proof,
			Port:            c.Gateway.Port,
			MemoryMiB:       c.Gateway.MemoryMiB,
			Pids:            c.Gateway.Pids,
			HealthTimeout:   c.Gateway.HealthTimeout,
			Watch:           c.Gateway.Watch,
			Drain:           c.Gateway.Drain,
		}, use)
		if err != nil {
			return nil, fmt.Errorf("deploying to %s: %w", name, err)
		}
		if host.GivenUp() {
			if err := ctx.Log.Warn(fmt.Sprintf("host %s is given up: nothing connects to it any more. "+
				"It may still run its gateway, which holds all secrets: see that it is off, or change them. "+
				"Without its entry in clawft:hosts, the next pulumi up forgets it.", name), nil); err != nil {
				return nil, fmt.Errorf("warning of a host that is given up: %w", err)
			}
			continue
		}
		if canary == nil {
			canary = gateway
		}
		outputs[name] = pulumi.Map{
			"address": host.Address,
			"user":    pulumi.String(host.User),
			"port":    pulumi.Int(host.Port),
			"hostKey": host.HostKey,
			"image":   gateway.Image,
			"report":  gateway.Report,
			"tunnel":  tunnel(host),
		}
	}
	return outputs, nil
}

// tunnel is the command that makes a host's gateway answer on the operator's
// own port 8080.
func tunnel(host *components.Host) pulumi.StringOutput {
	port := ""
	if host.Port != 22 {
		port = fmt.Sprintf("-p %d ", host.Port)
	}
	return pulumi.Sprintf("ssh -N -L 8080:127.0.0.1:8080 %s%s@%s", port, host.User, host.Address)
}
