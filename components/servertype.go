package components

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
)

// CheckServers tells whether each server that is to be ordered
// can be, and names the alternatives where one cannot. A server that exists
// stays, sold out or retired as its type may be; only a type to which it is to
// be resized is one to order. It also checks that the image has a platform for
// each server's architecture, and that no server is renamed to what another one is
// called: the engine would take that one for it. All problems are reported at once.
// Was has the names that servers had before they were renamed, by the new ones.
func (h *Hetzner) CheckServers(servers map[string]HcloudServer, was map[string]string, platforms []string) error {
	find := func(name string) *hcloud.GetServersServer {
		at := slices.IndexFunc(h.servers, func(s hcloud.GetServersServer) bool { return s.Name == name })
		if at < 0 {
			return nil
		}
		return &h.servers[at]
	}
	var problems, taken []string
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		found := find(name)
		if old := was[name]; old != "" {
			before := find(old)
			if found != nil && before != nil {
				taken = append(taken, fmt.Sprintf("host %s, which was %s: there are servers of both names; the one of %[2]s would be deleted with its data. "+
					"Let pulumi up remove the one of %[1]s first, and rename then", name, old))
				continue
			}
			if found == nil {
				found = before
			}
		}
		if problem := checkServer(h.types, servers[name], found, platforms); problem != "" {
			problems = append(problems, fmt.Sprintf("host %s: %s", name, problem))
		}
	}
	var all []error
	if len(taken) > 0 {
		all = append(all, fmt.Errorf("servers that cannot be renamed:\n  %s", strings.Join(taken, "\n  ")))
	}
	if len(problems) > 0 {
		all = append(all, fmt.Errorf("servers that cannot be ordered:\n  %s", strings.Join(problems, "\n  ")))
	}
	return errors.Join(all...)
}

// stays tells whether a server is neither ordered nor resized. A snapshot's ID
// is what the API gives as its image, too; an image that is gone has no name.
func stays(server HcloudServer, existing *hcloud.GetServersServer) bool {
	return existing != nil && existing.ServerType == server.Type && existing.Location == server.Location &&
		(existing.Image == server.Image || existing.Image == "")
}

func checkServer(catalogue []hcloud.GetServerTypesServerType, server HcloudServer, existing *hcloud.GetServersServer, platforms []string) string {
	stays := stays(server, existing)
	at := slices.IndexFunc(catalogue, func(t hcloud.GetServerTypesServerType) bool { return t.Name == server.Type })
	switch {
	case at < 0 && stays:
		return "" // retired
	case at < 0:
		return fmt.Sprintf("there is no server type %q; in %s there are %s",
			server.Type, server.Location, orderable(catalogue, server.Location, ""))
	}
	found := catalogue[at]
	if !stays && !slices.ContainsFunc(found.Locations, func(l hcloud.GetServerTypesServerTypeLocation) bool {
		return l.Name == server.Location && sold(l)
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

// sold tells whether a type can be ordered in a location today.
func sold(l hcloud.GetServerTypesServerTypeLocation) bool {
	if !l.Available || !l.IsDeprecated {
		return l.Available
	}
	end, err := time.Parse(time.RFC3339, l.UnavailableAfter)
	return err != nil || time.Now().Before(end)
}

// orderable lists the types that a location offers, for an error message.
func orderable(catalogue []hcloud.GetServerTypesServerType, location, architecture string) string {
	var names []string
	for _, t := range catalogue {
		if architecture != "" && t.Architecture != architecture {
			continue
		}
		if slices.ContainsFunc(t.Locations, func(l hcloud.GetServerTypesServerTypeLocation) bool {
			return l.Name == location && sold(l) && !l.IsDeprecated
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
		if sold(l) {
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
