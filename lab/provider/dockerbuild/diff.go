package dockerbuild

import (
	"context"
	"fmt"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// diff adds to changed inputs what has changed on disk, and leaves out what is
// no reason to build again: other credentials for the same registries, and
// secrets that the user says change all the time.
func (i *images) diff(_ context.Context, r p.DiffRequest, base p.DiffResponse) p.DiffResponse {
	update := p.PropertyDiff{Kind: p.Update}
	changes := map[string]p.PropertyDiff{}
	olds, oldErr := decodeImage(r.OldInputs)
	news, newErr := decodeImage(r.Inputs)
	if oldErr != nil || newErr != nil {
		// Inputs of another version of the SDK: the update says what is wrong.
		return base
	}

	for path, change := range base.DetailedDiff {
		switch root(path) {
		case "registries", "exec", "ignoreSecretsInDiffCalculation":
		case "secrets":
			if !ignoredSecret(path, &olds, &news) {
				changes[path] = change
			}
		default:
			changes[path] = change
		}
	}
	if len(olds.Registries) != len(news.Registries) {
		changes["registries"] = update
	} else {
		for index, before := range olds.Registries {
			after := news.Registries[index]
			if before.Address != after.Address || value(before.Username) != value(after.Username) {
				changes[fmt.Sprintf("registries[%d]", index)] = update
			}
		}
	}

	if index := news.missingExport(i.dir); index >= 0 {
		changes[fmt.Sprintf("exports[%d]", index)] = update
	}
	// With pull set the base images are to be looked up each time.
	hash, err := contextHash(i.dir, &news)
	if err != nil || hash != r.State.Get("contextHash").AsString() ||
		news.Pull && (news.Push || news.Load || len(news.Exports) > 0) {
		changes["contextHash"] = update
	}
	return p.DiffResponse{HasChanges: len(changes) > 0, DetailedDiff: changes}
}

// ignoredSecret tells whether the change is to a secret that is there before
// and after and is not to count.
func ignoredSecret(path string, olds, news *imageArgs) bool {
	parsed, err := resource.ParsePropertyPath(path)
	if err != nil || len(parsed) != 2 {
		return false
	}
	name, _ := parsed[1].(string)
	_, before := olds.Secrets[name]
	_, after := news.Secrets[name]
	return before && after && slices.Contains(news.IgnoredSecrets, name)
}

// root is the top-level property of a path such as "exports[0].registry.push".
func root(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		return path[:end]
	}
	return path
}
