package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/clawft/infra/host/deploy"
)

// Image is part of [deploy.Engine].
func (e *Engine) Image(ctx context.Context, image string) (deploy.Image, error) {
	doing := "looking for image " + image
	found, err := e.client.ImageInspect(ctx, image)
	if errdefs.IsNotFound(err) {
		return deploy.Image{}, fmt.Errorf("%s: %w", doing, deploy.ErrNotFound)
	}
	if err != nil {
		return deploy.Image{}, e.failed(doing, err)
	}
	var tags []string
	for _, tag := range found.RepoTags {
		// Docker's store says so where there is none; containerd's lists names by digest, too.
		if tag != "<none>:<none>" && !strings.Contains(tag, "@") {
			tags = append(tags, tag)
		}
	}
	return deploy.Image{ID: found.ID, Platform: found.Os + "/" + found.Architecture, Tags: tags}, nil
}

// RemoveImage is part of [deploy.Engine].
func (e *Engine) RemoveImage(ctx context.Context, image string) error {
	doing := "removing image " + image
	if !strings.Contains(image, "@sha256:") {
		return fmt.Errorf("%s: it is not named by its digest, so that it may be somebody's", doing)
	}
	found, err := e.Image(ctx, image)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if len(found.Tags) > 0 {
		return fmt.Errorf("%s: %w: it has the tag %s", doing, deploy.ErrInUse, found.Tags[0])
	}
	// The engine takes a name away even while a container runs, if the image has another one.
	list, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return e.failed(doing, err)
	}
	for _, c := range list.Items {
		if c.ImageID == found.ID || c.Image == image {
			return fmt.Errorf("%s: %w: container %s is made from it", doing, deploy.ErrInUse, nameOf(c.Names))
		}
	}
	_, err = e.client.ImageRemove(ctx, image, client.ImageRemoveOptions{PruneChildren: true})
	switch {
	case err == nil:
		return nil
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%s: %w", doing, deploy.ErrNotFound)
	case errdefs.IsConflict(err):
		// One that was created meanwhile.
		return fmt.Errorf("%s: %w: %s", doing, deploy.ErrInUse, said(err))
	}
	return e.failed(doing, err)
}
