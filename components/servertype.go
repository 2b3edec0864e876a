package components

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// CheckServers asks the Hetzner API whether each server can be ordered as
// described, and names the alternatives where one cannot. It also checks that
// the image has a platform for each server's architecture. All problems are
// reported at once.
func CheckServers(ctx *pulumi.Context, providers *Providers, servers map[string]HcloudServer, platforms []string) error {
	if len(servers) == 0 {
		return nil
	}
	catalogue, err := hcloud.GetServerTypes(ctx, pulumi.Provider(providers.hcloud))
	if err != nil {
		if says(err, "unauthorized") {
			return fmt.Errorf("hcloud:token is wrong: Hetzner refuses it; set one that is valid: pulumi config set --stack %s --secret hcloud:token, or the environment variable HCLOUD_TOKEN", ctx.Stack())
		}
		return fmt.Errorf("listing Hetzner server types: %w", err)
	}
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		if problem := checkServer(catalogue.ServerTypes, servers[name], platforms); problem != "" {
			problems = append(problems, fmt.Sprintf("host %s: %s", name, problem))
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("servers that cannot be ordered:\n  %s", strings.Join(problems, "\n  "))
	}
	return nil
}

func checkServer(catalogue []hcloud.GetServerTypesServerType, server HcloudServer, platforms []string) string {
	at := slices.IndexFunc(catalogue, func(t hcloud.GetServerTypesServerType) bool { return t.Name == server.Type })
	if at < 0 {
		return fmt.Sprintf("there is no server type %q; in %s there are %s",
			server.Type, server.Location, orderable(catalogue, server.Location, ""))
	}
	found := catalogue[at]
	if !slices.ContainsFunc(found.Locations, func(l hcloud.GetServerTypesServerTypeLocation) bool {
		return l.Name == server.Location && l.Available
	}) {
		return fmt.Sprintf("server type %q is not available in %q; in %s there are %s; it is available in %s",
			server.Type, server.Location, server.Location,
			orderable(catalogue, server.Location, found.Architecture), locationsOf(found))
	}
	if platform := platformOf(found.Architecture); len(platforms) > 0 && !slices.Contains(platforms, platform) {
		return fmt.Sprintf("server type %q is %s, but the image is built for %s only; add %s to clawft:image.platforms",
			server.Type, platform, strings.Join(platforms, ", "), platform)
	}
	return ""
}

// orderable lists the types that a location offers, for an error message.
func orderable(catalogue []hcloud.GetServerTypesServerType, location, architecture string) string {
	var names []string
	for _, t := range catalogue {
		if architecture != "" && t.Architecture != architecture {
			continue
		}
		if slices.ContainsFunc(t.Locations, func(l hcloud.GetServerTypesServerTypeLocation) bool {
			return l.Name == location && l.Available && !l.IsDeprecated
		}) {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func locationsOf(t hcloud.GetServerTypesServerType) string {
	var names []string
	for _, l := range t.Locations {
		if l.Available {
			names = append(names, l.Name)
		}
	}
	if len(names) == 0 {
		return "no location"
	}
	return strings.Join(names, ", ")
}

// platformOf translates Hetzner's architecture names into the image's.
func platformOf(architecture string) string {
	if architecture == "arm" {
		return "linux/arm64"
	}
	return "linux/amd64"
}
