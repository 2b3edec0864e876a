package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/lab/buildkit"
	"github.com/clawft/infra/lab/engine"
	"github.com/clawft/infra/lab/flock"
	"github.com/clawft/infra/lab/machine"
	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/github"
	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/registry"
	"github.com/clawft/infra/lab/toolchain"
	"github.com/clawft/infra/pipeline"
)

// StackName is the stack that the lab runs.
const StackName = "lab"

// registryPort is where the lab's registry listens on the bridge.
const registryPort = 5000

// Options say which lab to open.
type Options struct {
	// Root is the checkout.
	Root string
	// Name tells labs of one checkout apart; the default lab has none.
	Name string
	// Subnet is the network of the machines. Default: machine.DefaultNetwork's.
	Subnet netip.Prefix
	// Home is where the machine that runs Pulumi keeps what is its own: the
	// project, Docker's configuration with its builders, and what Pulumi keeps.
	// Default: the lab's directory. Another one is another machine to the stack.
	Home string
	// Out is where progress is written.
	Out io.Writer
	// Program is what the stack runs. Default: the product's own.
	Program pulumi.RunFunc
}

// Site is an opened lab.
type Site struct {
	Root     string
	Dir      string
	Machines *machine.Manager
	Registry *registry.Registry
	Log      *Log

	home     string
	identity keyPair
	program  pulumi.RunFunc
	pulumi   string
	cloud    *hcloud.Cloud
	hub      *github.Hub
	// bases replace base images that cannot be pulled, by name.
	bases    map[string]string
	buildkit *buildkit.Daemon
	servers  *provider.Server
	locked   *flock.Lock
}

// Dir is where the lab of a name keeps its things.
func Dir(root, name string) string {
	if name == "" {
		return filepath.Join(root, ".lab")
	}
	return filepath.Join(root, ".lab", "labs", name)
}

// Cache is what outlives a lab: tools, the machine image, build layers.
func Cache(root string) string { return filepath.Join(root, ".lab", "cache") }

// network is the machines' bridge.
func network(options Options) machine.Network {
	network := machine.DefaultNetwork
	if options.Name != "" {
		network.Name += "-" + options.Name
	}
	if options.Subnet.IsValid() {
		network.Subnet = options.Subnet
	}
	return network
}

// Machines manages the machines of a lab, which need not be opened for it.
func Machines(options Options) (*machine.Manager, error) {
	return machine.New(machine.Options{Root: options.Root, Cache: Cache(options.Root), Network: network(options)})
}

// Open makes the lab ready for a run of the stack. Close it afterwards.
func Open(ctx context.Context, options Options) (*Site, error) {
	site := &Site{
		Root:    options.Root,
		Dir:     Dir(options.Root, options.Name),
		Log:     NewLog(options.Out),
		program: options.Program,
	}
	if site.home = options.Home; site.home == "" {
		site.home = site.Dir
	}
	if site.program == nil {
		site.program = pipeline.Deploy
	}
	if err := site.open(ctx, options); err != nil {
		return nil, errors.Join(err, site.Close())
	}
	return site, nil
}

func (s *Site) open(ctx context.Context, options Options) error {
	var err error
	if s.locked, err = lock(s.Dir); err != nil {
		return err
	}
	if s.identity, err = loadKey(filepath.Join(s.Dir, "ssh"), "id_ed25519"); err != nil {
		return err
	}
	if s.Machines, err = Machines(options); err != nil {
		return err
	}
	tools := map[string]string{}
	steps := []struct {
		name string
		run  func() error
	}{
		{"packages", func() error {
			return engine.Packages(ctx, s.Log.Printf, "git", "mmdebstrap", "openssh-client", "runc")
		}},
		{"tools", func() error { return s.tools(ctx, tools) }},
		{"engine", func() error { return engine.Ensure(ctx, options.Root, s.Log.Printf) }},
		{"machines", func() error { return s.machines(ctx) }},
		{"services", func() error { return s.services(ctx, tools) }},
	}
	for _, step := range steps {
		if err := s.Log.Phase(step.name, step.run); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) tools(ctx context.Context, paths map[string]string) error {
	for _, tool := range []toolchain.Tool{toolchain.Pulumi, toolchain.Buildkitd, toolchain.Buildx} {
		path, err := toolchain.Ensure(ctx, s.Root, tool, s.Log.Printf)
		if err != nil {
			return err
		}
		paths[tool.Name] = path
	}
	return nil
}

// machines prepares the image and the network that machines are made with.
func (s *Site) machines(ctx context.Context) error {
	if err := s.Machines.EnsureImage(ctx, func(line string) { s.Log.Printf("%s", line) }); err != nil {
		return err
	}
	return s.Machines.EnsureNetwork(ctx)
}

// services starts what a run of the stack talks to.
func (s *Site) services(ctx context.Context, tools map[string]string) error {
	var err error
	s.Registry, err = registry.Start(ctx, registry.Options{
		Dir:       filepath.Join(s.Dir, "registry"),
		Addresses: []string{fmt.Sprintf("%s:%d", s.Machines.Network().Gateway(), registryPort)},
	})
	if err != nil {
		return err
	}
	s.buildkit, err = buildkit.Start(ctx, buildkit.Options{
		Buildkitd:  tools[toolchain.Buildkitd.Name],
		Dir:        filepath.Join(Cache(s.Root), "buildkit"),
		Socket:     filepath.Join(s.Dir, "buildkitd.sock"),
		Registries: map[string]string{s.Registry.Address(): s.Registry.CAPath()},
	})
	if err != nil {
		return err
	}
	s.pulumi = tools[toolchain.Pulumi.Name]
	providers, err := s.providers(ctx, tools[toolchain.Buildx.Name])
	if err != nil {
		return err
	}
	s.servers, err = providers.Serve(ctx)
	return err
}

// Close stops what belongs to this process. Machines go on.
func (s *Site) Close() error {
	var failed []error
	if s.servers != nil {
		s.servers.Close()
	}
	if s.buildkit != nil {
		failed = append(failed, s.buildkit.Close())
	}
	if s.Registry != nil {
		failed = append(failed, s.Registry.Close())
	}
	if s.locked != nil {
		s.locked.Release()
	}
	return errors.Join(failed...)
}
