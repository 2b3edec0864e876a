package dockerbuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	p "github.com/pulumi/pulumi-go-provider"
)

// build runs buildx and returns the digest of what it made, which is empty if
// that was exported nowhere.
func (i *images) build(ctx context.Context, args *imageArgs, preview bool) (string, error) {
	log := p.GetLogger(ctx)
	if len(args.Exports) == 0 && !args.Push && !args.Load {
		log.Warning("No exports were specified so the build will only remain in the local build cache. " +
			"Use `push` to upload the image to a registry, or silence this warning with a `cacheonly` export.")
	}
	if len(args.Platforms) > 1 && len(args.CacheTo) > 0 {
		log.Warning("Caching doesn't work reliably with multi-platform builds " +
			"(https://github.com/docker/buildx/discussions/1382). " +
			"Instead, perform one cached build per platform and create an Index to join them all together.")
	}
	definition, secrets, err := i.definition(args, preview)
	if err != nil {
		return "", err
	}
	logins, err := newLogins(ctx, args.Registries)
	if err != nil {
		return "", err
	}
	config, remove, err := logins.write()
	if err != nil {
		return "", err
	}
	defer remove()

	builder := ""
	if args.Builder != nil {
		builder = value(args.Builder.Name)
	}
	if builder == "" {
		if builder, err = i.client.Builder(ctx); err != nil {
			return "", err
		}
	}
	metadata := filepath.Join(config, "metadata.json")
	command := []string{"bake", "--file", "-", "--progress", "plain", "--metadata-file", metadata, "--builder", builder}
	if args.Network == "host" {
		command = append(command, "--allow", "network.host")
	}
	cmd := i.client.Command(ctx, config, append(command, targetName)...)
	cmd.Dir = i.dir
	cmd.Stdin = bytes.NewReader(definition)
	cmd.Env = append(cmd.Env, secrets...)
	cmd.Env = append(cmd.Env,
		// The definition is the program's, not one found somewhere: it may read
		// the files that it names.
		"BUILDX_BAKE_ENTITLEMENTS_FS=0",
		// An attestation that was not asked for would go into the metadata.
		"BUILDX_METADATA_PROVENANCE=disabled",
	)
	progress := newProgress(log)
	cmd.Stdout, cmd.Stderr = progress, progress
	err = cmd.Run()
	progress.end()
	if err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("building: %w", context.Cause(ctx))
		}
		log.Info(progress.everything())
		return "", fmt.Errorf("building: %s", progress.reason(err))
	}
	return digestFrom(metadata)
}

// digestFrom reads what buildx tells of its result.
func digestFrom(metadata string) (string, error) {
	data, err := os.ReadFile(metadata)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // nothing was exported
	}
	if err != nil {
		return "", fmt.Errorf("reading the result of the build: %w", err)
	}
	var results map[string]json.RawMessage
	if err := json.Unmarshal(data, &results); err != nil {
		return "", fmt.Errorf("reading the result of the build: %w", err)
	}
	var result struct {
		Digest string `json:"containerimage.digest"`
	}
	if raw, ok := results[targetName]; ok {
		if err := json.Unmarshal(raw, &result); err != nil {
			return "", fmt.Errorf("reading the result of the build: %w", err)
		}
	}
	return result.Digest, nil
}
