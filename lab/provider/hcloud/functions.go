package hcloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// none is what functions without arguments take.
type none struct{}

func (c *Cloud) functions() []provider.Function {
	return []provider.Function{
		{
			Token: "hcloud:index/getServerType:getServerType",
			Args:  hcloud.GetServerTypeArgs{}, Result: hcloud.GetServerTypeResult{},
			Call: func(_ context.Context, args property.Map) (property.Map, error) {
				return lookUp(args, "server type", serverTypes, serverType.key, serverType.outputs)
			},
		},
		{
			Token: "hcloud:index/getServerTypes:getServerTypes",
			Args:  none{}, Result: hcloud.GetServerTypesResult{},
			Call: func(context.Context, property.Map) (property.Map, error) {
				all := collect(serverTypes, serverType.key, serverType.outputs)
				return values(map[string]any{
					"id": "server_types", "serverTypes": all.items,
					"serverTypeIds": all.ids, "names": all.names, "descriptions": all.descriptions,
				}), nil
			},
		},
		{
			Token: "hcloud:index/getServers:getServers",
			Args:  hcloud.GetServersArgs{}, Result: hcloud.GetServersResult{},
			Call: c.getServers,
		},
		{
			Token: "hcloud:index/getPrimaryIps:getPrimaryIps",
			Args:  hcloud.GetPrimaryIpsArgs{}, Result: hcloud.GetPrimaryIpsResult{},
			Call: c.getPrimaryIPs,
		},
		{
			Token: "hcloud:index/getSshKeys:getSshKeys",
			Args:  hcloud.GetSshKeysArgs{}, Result: hcloud.GetSshKeysResult{},
			Call: c.getSSHKeys,
		},
		{
			Token: "hcloud:index/getFirewalls:getFirewalls",
			Args:  hcloud.GetFirewallsArgs{}, Result: hcloud.GetFirewallsResult{},
			Call: c.getFirewalls,
		},
		{
			Token: "hcloud:index/getLocation:getLocation",
			Args:  hcloud.GetLocationArgs{}, Result: hcloud.GetLocationResult{},
			Call: func(_ context.Context, args property.Map) (property.Map, error) {
				return lookUp(args, "location", locations, location.key, location.outputs)
			},
		},
		{
			Token: "hcloud:index/getLocations:getLocations",
			Args:  none{}, Result: hcloud.GetLocationsResult{},
			Call: func(context.Context, property.Map) (property.Map, error) {
				all := collect(locations, location.key, location.outputs)
				return values(map[string]any{
					"id": "locations", "locations": all.items,
					"locationIds": all.ids, "names": all.names, "descriptions": all.descriptions,
				}), nil
			},
		},
		{
			Token: "hcloud:index/getImage:getImage",
			Args:  hcloud.GetImageArgs{}, Result: hcloud.GetImageResult{},
			Call: getImage,
		},
	}
}

func (l location) key() (int, string) { return l.id, l.name }

func (l location) outputs() map[string]any {
	return map[string]any{
		"id": l.id, "name": l.name, "description": l.description, "country": l.country, "city": l.city,
		"latitude": l.latitude, "longitude": l.longitude, "networkZone": l.zone,
	}
}

func (t serverType) key() (int, string) { return t.id, t.name }

func (t serverType) outputs() map[string]any {
	deprecation := func(deprecated bool) map[string]any {
		m := map[string]any{"isDeprecated": deprecated, "deprecationAnnounced": "", "unavailableAfter": ""}
		if deprecated {
			m["deprecationAnnounced"], m["unavailableAfter"] = t.announced, t.unavailableAfter
		}
		return m
	}
	var places []map[string]any
	for _, name := range t.locations {
		l, _ := findLocation(name)
		place := deprecation(t.deprecatedAt(name))
		place["id"], place["name"] = l.id, name
		place["available"], place["recommended"] = t.availableAt(name), t.availableAt(name)
		places = append(places, place)
	}
	m := deprecation(t.deprecated())
	m["id"], m["name"], m["description"], m["category"] = t.id, t.name, t.description(), t.category
	m["architecture"], m["cpuType"], m["storageType"] = t.architecture, t.cpu, "local"
	m["cores"], m["memory"], m["disk"] = t.cores, t.memory, t.disk
	m["includedTraffic"], m["locations"] = 0, places
	return m
}

// lookUp finds one item by exactly one of id and name.
func lookUp[T any](
	args property.Map, what string, all []T, key func(T) (int, string), outputs func(T) map[string]any,
) (property.Map, error) {
	id, name := number(args, "id"), text(args, "name")
	if (id == 0) == (name == "") {
		return property.Map{}, errors.New("exactly one of these attributes must be configured: [id,name]")
	}
	for _, item := range all {
		if itemID, itemName := key(item); itemID == id || itemName == name {
			return values(outputs(item)), nil
		}
	}
	if name != "" {
		return property.Map{}, fmt.Errorf("resource (%s) was not found: name=%q", what, name)
	}
	return property.Map{}, fmt.Errorf("resource (%s) was not found: id=%d", what, id)
}

// collected is what the plural functions give, beside the items once more.
type collected struct {
	items                    []map[string]any
	ids, names, descriptions []string
}

func collect[T any](all []T, key func(T) (int, string), outputs func(T) map[string]any) collected {
	var c collected
	for _, item := range all {
		id, name := key(item)
		out := outputs(item)
		c.items = append(c.items, out)
		c.ids, c.names = append(c.ids, formatID(id)), append(c.names, name)
		c.descriptions = append(c.descriptions, out["description"].(string))
	}
	return c
}

// getServers lists the servers that a selector matches.
func (c *Cloud) getServers(ctx context.Context, args property.Map) (property.Map, error) {
	if !args.Get("withStatuses").IsNull() {
		return property.Map{}, errors.New("the lab's stand-in for Hetzner does not select servers by status")
	}
	var found []map[string]any
	var listed state
	if err := c.store.view(func(st *state) error { listed = *st; return nil }); err != nil {
		return property.Map{}, err
	}
	for _, id := range slices.Sorted(maps.Keys(listed.Servers)) {
		srv := listed.Servers[id]
		if selector := text(args, "withSelector"); selector != "" && !matches(selector, srv.Labels) {
			continue
		}
		status, err := c.status(ctx, srv)
		if err != nil {
			return property.Map{}, err
		}
		address := ""
		if ip, ok := listed.PrimaryIPs[srv.IPv4]; ok {
			address = ip.Address.String()
		}
		found = append(found, map[string]any{
			"id": srv.ID, "name": srv.Name, "serverType": srv.Type, "image": srv.Image, "location": srv.Location,
			"datacenter": "", "labels": srv.Labels, "status": status, "primaryDiskSize": srv.Disk,
			"firewallIds": listed.firewallsOf(srv), "backups": srv.Backups, "backupWindow": "",
			"deleteProtection": srv.Protected, "rebuildProtection": srv.Protected,
			"ipv4Address": address, "ipv6Address": "", "ipv6Network": "", "iso": "", "rescue": "", "networks": []string{},
		})
	}
	return values(map[string]any{"id": "servers", "servers": found}), nil
}

// selected are the things of a map that a function's selector matches, by ID.
func selected[T any](all map[int]T, args property.Map, labels func(T) map[string]string, outputs func(T) map[string]any) []map[string]any {
	found := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if selector := text(args, "withSelector"); selector == "" || matches(selector, labels(all[id])) {
			out := outputs(all[id])
			out["id"], out["labels"] = id, labels(all[id])
			found = append(found, out)
		}
	}
	return found
}

func (c *Cloud) getPrimaryIPs(_ context.Context, args property.Map) (property.Map, error) {
	var found []map[string]any
	err := c.store.view(func(st *state) error {
		found = selected(st.PrimaryIPs, args, func(ip *primaryIP) map[string]string { return ip.Labels }, func(ip *primaryIP) map[string]any {
			network := ""
			if ip.Type == "ipv6" {
				network = ip.prefix()
			}
			return map[string]any{
				"name": ip.Name, "type": ip.Type, "location": ip.Location, "datacenter": "",
				"ipAddress": ip.Address.String(), "ipNetwork": network, "assigneeId": ip.Assignee, "assigneeType": "server",
				"autoDelete": ip.AutoDelete, "deleteProtection": ip.Protected,
			}
		})
		return nil
	})
	return values(map[string]any{"id": "primary_ips", "primaryIps": found}), err
}

func (c *Cloud) getSSHKeys(_ context.Context, args property.Map) (property.Map, error) {
	var found []map[string]any
	err := c.store.view(func(st *state) error {
		found = selected(st.SSHKeys, args, func(k *sshKey) map[string]string { return k.Labels }, func(k *sshKey) map[string]any {
			return map[string]any{"name": k.Name, "publicKey": k.PublicKey, "fingerprint": k.Fingerprint}
		})
		return nil
	})
	return values(map[string]any{"id": "ssh_keys", "sshKeys": found}), err
}

func (c *Cloud) getFirewalls(_ context.Context, args property.Map) (property.Map, error) {
	var found []map[string]any
	err := c.store.view(func(st *state) error {
		found = selected(st.Firewalls, args, func(f *firewall) map[string]string { return f.Labels }, func(f *firewall) map[string]any {
			// Of what it applies to and lets through nobody here has asked so far.
			return map[string]any{"name": f.Name, "rules": []string{}, "applyTos": []string{}}
		})
		return nil
	})
	return values(map[string]any{"id": "firewalls", "firewalls": found}), err
}

// getImage finds system images, which have no labels to select by.
func getImage(_ context.Context, args property.Map) (property.Map, error) {
	architecture := text(args, "withArchitecture")
	if architecture == "" {
		architecture = x86
	}
	id, name := number(args, "id"), text(args, "name")
	for _, i := range images {
		if i.id != id && (i.name != name || i.architecture != architecture) {
			continue
		}
		out := values(map[string]any{
			"id": i.id, "name": i.name, "description": i.description, "type": "system",
			"osFlavor": i.flavor, "osVersion": i.version, "architecture": i.architecture,
			"created": i.created, "deprecated": "", "rapidDeploy": true, "labels": map[string]string{},
		})
		for given, v := range args.All {
			out = out.Set(given, v)
		}
		return out, nil
	}
	return property.Map{}, fmt.Errorf("resource (image) was not found: id=%d name=%q architecture=%q", id, name, architecture)
}
