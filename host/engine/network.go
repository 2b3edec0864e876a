package engine

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/clawft/infra/host/deploy"
)

// optionBridge names the interface of a bridge network.
const optionBridge = "com.docker.network.bridge.name"

// EnsureNetwork is part of [deploy.Engine].
func (e *Engine) EnsureNetwork(ctx context.Context, n deploy.Network) error {
	doing := "making network " + n.Name
	found, err := e.networks(ctx, n.Name)
	if err != nil {
		return e.failed(doing, err)
	}
	for _, has := range found {
		if has.Labels[labelGateway] != n.Gateway {
			return foreign(doing, has)
		}
	}
	if len(found) == 1 && same(found[0], n) {
		return nil
	}
	// By ID: engines up to 24 let two have one name.
	for _, has := range found {
		if err := e.removeNetwork(ctx, has.ID); err != nil {
			return e.failed("making network "+n.Name+" anew", err)
		}
	}
	_, err = e.client.NetworkCreate(ctx, n.Name, client.NetworkCreateOptions{
		Driver: "bridge", Internal: n.Internal, Labels: labels(n.Owner, n.Gateway), Options: map[string]string{optionBridge: n.Bridge},
	})
	if err != nil {
		return e.failed(doing, err)
	}
	return nil
}

// RemoveNetwork is part of [deploy.Engine].
func (e *Engine) RemoveNetwork(ctx context.Context, name, gateway string) error {
	doing := "removing network " + name
	found, err := e.networks(ctx, name)
	if err != nil {
		return e.failed(doing, err)
	}
	for _, has := range found {
		if has.Labels[labelGateway] != gateway {
			return foreign(doing, has)
		}
		if err := e.removeNetwork(ctx, has.ID); err != nil {
			return e.failed(doing, err)
		}
	}
	return nil
}

func (e *Engine) removeNetwork(ctx context.Context, id string) error {
	if _, err := e.client.NetworkRemove(ctx, id, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// networks returns those of a name. The engine's own filter takes parts of names, too.
func (e *Engine) networks(ctx context.Context, name string) ([]network.Summary, error) {
	list, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("name", name)})
	if err != nil {
		return nil, err
	}
	var found []network.Summary
	for _, n := range list.Items {
		if n.Name == name {
			found = append(found, n)
		}
	}
	return found, nil
}

func same(has network.Summary, want deploy.Network) bool {
	return has.Driver == "bridge" && has.Internal == want.Internal && !has.EnableIPv6 && has.Options[optionBridge] == want.Bridge &&
		has.Labels[labelOwner] == want.Owner
}

func foreign(doing string, has network.Summary) error {
	return fmt.Errorf("%s: a network has the name and %w (driver %s, label %s: %q): remove it, as with: docker network rm %s",
		doing, deploy.ErrForeign, has.Driver, labelGateway, has.Labels[labelGateway], has.Name)
}
