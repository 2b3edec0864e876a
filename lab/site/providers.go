package site

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/cloudinit"
	"github.com/clawft/infra/lab/provider/command"
	"github.com/clawft/infra/lab/provider/docker"
	"github.com/clawft/infra/lab/provider/dockerbuild"
	"github.com/clawft/infra/lab/provider/github"
	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/provider/tls"
	"github.com/clawft/infra/lab/stack"
)

// The gateway's repository at the lab's GitHub, as Pulumi.lab.yaml names it.
const (
	hubDir          = "github"
	repositoryOwner = "clawft"
	repositoryName  = "clawft"
)

// Repository is where the gateway's repository of a lab can be cloned from.
func Repository(options Options) string {
	return filepath.Join(Dir(options.Root, options.Name), hubDir, repositoryOwner, repositoryName+".git")
}

// builder is the current builder of the lab's own Docker configuration.
const builder = "clawft-lab"

// providers are the stand-ins for the plugins that the program uses.
func (s *Site) providers(ctx context.Context, buildxProgram string) (provider.Set, error) {
	if err := s.trustRegistry(); err != nil {
		return nil, err
	}
	cas, err := s.registryCAs()
	if err != nil {
		return nil, err
	}
	client, err := buildx.New(buildx.Options{
		Program:     buildxProgram,
		Dir:         filepath.Join(s.home, "buildx"),
		Authorities: []string{s.Registry.CAPath()},
	})
	if err != nil {
		return nil, err
	}
	if err := client.Use(ctx, builder, s.buildkit.Endpoint()); err != nil {
		return nil, fmt.Errorf("making the lab's BuildKit the current builder: %w", err)
	}
	s.cloud = hcloud.NewCloud(hcloud.Options{
		Machines:     s.Machines,
		Network:      s.Machines.Network(),
		RegistryCAs:  cas,
		Architecture: runtime.GOARCH,
		StateFile:    filepath.Join(s.Dir, "hcloud.json"),
	})
	if err := s.cloud.Resume(ctx); err != nil {
		return nil, fmt.Errorf("finishing the servers that a killed run had ordered: %w", err)
	}
	s.hub, err = github.Open(filepath.Join(s.Dir, hubDir))
	if err != nil {
		return nil, err
	}
	if err := s.hub.CreateRepository(repositoryOwner, repositoryName, "main"); err != nil {
		return nil, err
	}
	return provider.Set{
		"cloudinit": cloudinit.New(),
		"command":   command.New(),
		"docker":    docker.New(client),
		"docker-build": dockerbuild.New(dockerbuild.Options{
			Client:      client,
			Dir:         stack.ProjectDir(s.home),
			Authorities: []string{s.Registry.CAPath()},
		}),
		"github": github.New(s.hub),
		"hcloud": hcloud.New(s.cloud),
		"tls":    tls.New(),
	}, nil
}
