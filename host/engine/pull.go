package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/release"
)

// Pull is part of [deploy.Engine].
func (e *Engine) Pull(ctx context.Context, image string, login *release.RegistryLogin) error {
	doing := "pulling " + image
	auth, err := encode(login)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := e.pull(ctx, image, auth); err != nil {
		if ctx.Err() != nil {
			return e.failed(doing, ctx.Err())
		}
		return e.refused(ctx, doing, image, auth, err)
	}
	// A stream that breaks off between two messages looks like one that is complete.
	if _, err := e.Image(ctx, image); err != nil {
		return fmt.Errorf("%s: the engine did not finish: %w", doing, err)
	}
	return nil
}

func (e *Engine) pull(ctx context.Context, image, auth string) error {
	stream, err := e.client.ImagePull(ctx, image, client.ImagePullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer stream.Close()
	for message, err := range stream.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if message.Error != nil {
			return message.Error
		}
	}
	return nil
}

// encode returns the login as the API takes it, and none as none: an engine without one uses nobody's.
func encode(login *release.RegistryLogin) (string, error) {
	var config registry.AuthConfig
	if login != nil {
		config = registry.AuthConfig{Username: login.Username, Password: login.Password, ServerAddress: login.Address}
		if login.Address == "docker.io" {
			// Engines know Docker Hub's login by this address only.
			config.ServerAddress = "https://index.docker.io/v1/"
		}
	}
	return authconfig.Encode(config)
}

// refusal is a kind of answer that another attempt does not change.
type refusal struct {
	// cause is what people are told before the engine's own words.
	cause string
	// kind recognizes it by the status of the answer, where the engine gives one of its own.
	kind func(error) bool
	// words recognize it in lower case: once an engine has begun its answer, an error has no status any more, and
	// most of a registry's have none from the start.
	words []string
}

// The order matters: a registry that refuses a login often says that there is no such repository, besides.
var refusals = []refusal{
	{"the registry refuses the login", func(err error) bool { return errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) },
		[]string{"unauthorized", "denied", "forbidden", "authentication required", "authorization failed", "no basic auth"}},
	{"the registry does not have it", errdefs.IsNotFound,
		[]string{"manifest unknown", "manifest_unknown", "name unknown", "name_unknown", "not found"}},
	{"the registry's certificate is not trusted", nil, []string{"x509", "certificate", "server gave http response to https client"}},
	{"the disk is full", nil, []string{"no space left", "disk quota exceeded"}},
	{"what comes is not what was asked for", nil, []string{"failed to verify", "filesystem layer verification failed", "digest mismatch", "unexpected commit digest"}},
	{"the image's name is not valid", errdefs.IsInvalidArgument, []string{"invalid reference"}},
}

// refused says why a pull failed, and whether another one may succeed.
func (e *Engine) refused(ctx context.Context, doing, image, auth string, err error) error {
	if client.IsErrConnectionFailed(err) {
		return e.failed(doing, err)
	}
	// A repository may be called "certificates".
	repository, _, _ := strings.Cut(image, "@")
	_, path, _ := strings.Cut(repository, "/")
	words := strings.NewReplacer(repository, "", path, "").Replace(strings.ToLower(said(err)))
	contains := func(part string) bool { return strings.Contains(words, part) }
	if contains("no matching manifest") || contains("no match for platform") {
		return fmt.Errorf("%s: wrong architecture: it is built for %s, and not for this host: %w", doing, e.platforms(ctx, image, auth), final(err))
	}
	if contains("x509") && (contains("not yet valid") || contains("expired")) {
		return fmt.Errorf("%s: %w; this host's clock says %s", doing, final(err), time.Now().UTC().Format(time.DateTime))
	}
	for _, r := range refusals {
		if r.kind != nil && r.kind(err) || slices.ContainsFunc(r.words, contains) {
			return fmt.Errorf("%s: %s: %w", doing, r.cause, final(err))
		}
	}
	return e.failed(doing, err)
}

// final is what the engine said, marked as an answer that stays.
func final(err error) error { return engineError{said(err), errors.Join(deploy.ErrFinal, err)} }

// platforms names what an image is built for, if the registry tells.
func (e *Engine) platforms(ctx context.Context, image, auth string) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	found, err := e.client.DistributionInspect(ctx, image, client.DistributionInspectOptions{EncodedRegistryAuth: auth})
	var names []string
	for _, platform := range found.Platforms {
		// An attestation has none.
		if platform.OS != "unknown" && platform.OS != "" {
			names = append(names, platform.OS+"/"+platform.Architecture)
		}
	}
	if err != nil || len(names) == 0 {
		return "other platforms"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
