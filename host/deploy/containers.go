package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// containers lists those of a place that are ours: the gateway's, by whatever name, and the
// preflight's. Ours are those that are labelled with the place, whoever owned the gateway then.
func (p place) containers(ctx context.Context) (gateway, preflight, foreign []ContainerInfo, err error) {
	found, err := p.engine().Containers(ctx, p.name)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("listing the containers: %w", err)
	}
	for _, c := range found {
		switch {
		case c.Gateway != p.name:
			foreign = append(foreign, c)
		case c.Name == p.preflightContainer():
			preflight = append(preflight, c)
		default:
			gateway = append(gateway, c)
		}
	}
	return gateway, preflight, foreign, nil
}

// free is an error when somebody else's container has one of the names that a place needs.
func free(containers []ContainerInfo, names ...string) error {
	for _, c := range containers {
		if slices.Contains(names, c.Name) {
			return fmt.Errorf("the container %s is not ours (image %s, label clawft.owner: %s); rename it, as with: docker rename %s OTHER: %w",
				c.Name, c.Image, or(c.Owner, "none"), c.Name, ErrForeign)
		}
	}
	return nil
}

// clearGateway stops and removes what a killed process or engine left of the gateway. After it
// no process has the data; after an error one may.
func (p place) clearGateway(ctx context.Context) error {
	left, _, _, err := p.containers(ctx)
	if err != nil {
		return err
	}
	return p.clear(ctx, left)
}

// clearPreflight removes what a preflight leaves.
func (p place) clearPreflight(ctx context.Context) error {
	_, left, _, err := p.containers(ctx)
	if err != nil {
		return err
	}
	if err := p.clear(ctx, left); err != nil {
		return err
	}
	if err := p.engine().RemoveNetwork(ctx, p.preflightContainer(), p.name); err != nil {
		return fmt.Errorf("removing the preflight's network: %w", err)
	}
	if err := p.Disk.RemoveAll(p.configFile(p.preflightContainer())); err != nil {
		return err
	}
	return p.Disk.RemoveAll(p.preflightData())
}

func (p place) clear(ctx context.Context, containers []ContainerInfo) error {
	for _, c := range containers {
		if err := p.engine().Stop(ctx, c.ID); err != nil {
			return fmt.Errorf("stopping the container %s: %w", c.Name, err)
		}
		if err := p.engine().Remove(ctx, c.ID); err != nil {
			return fmt.Errorf("removing the container %s: %w", c.Name, err)
		}
	}
	return nil
}

// network is a place's own, named like the container that is in it.
func (p place) network(container, owner string) Network {
	hash := sha256.Sum256([]byte(container))
	return Network{
		Name: container,
		// The kernel takes 15 characters.
		Bridge:   "clawft-" + hex.EncodeToString(hash[:4]),
		Internal: container == p.preflightContainer(),
		Owner:    owner,
		Gateway:  p.name,
	}
}
