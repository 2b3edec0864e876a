package hcloud

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func (c *Cloud) primaryIPResource() provider.Resource {
	return provider.Resource{
		Token:    PrimaryIPToken,
		Args:     hcloud.PrimaryIpArgs{},
		State:    &hcloud.PrimaryIp{},
		AutoName: true,
		Replace:  []string{"type", "location", "datacenter"},
		Check:    checkPrimaryIP,
		Warn:     warnPrimaryIP,
		Diff:     differ{sticky: []string{"location", "datacenter", "assigneeId", "assigneeType"}}.diff,
		Create:   c.createPrimaryIP,
		Read:     c.readPrimaryIP,
		Update:   c.updatePrimaryIP,
		Delete:   c.deletePrimaryIP,
	}
}

func checkPrimaryIP(ctx context.Context, inputs property.Map) []p.CheckFailure {
	failures := checkLabels(ctx, inputs)
	given := 0
	for _, name := range []string{"location", "datacenter", "assigneeId"} {
		if !inputs.Get(name).IsNull() {
			given++
		}
	}
	if given != 1 {
		failures = append(failures, p.CheckFailure{
			Property: "location",
			Reason:   fmt.Sprintf("exactly one of these attributes must be configured: [location,datacenter,assigneeId], got %d", given),
		})
	}
	if !inputs.Get("assigneeId").IsNull() && inputs.Get("assigneeType").IsNull() {
		failures = append(failures, p.CheckFailure{
			Property: "assigneeId",
			Reason:   "these attributes must be configured together: [assigneeId,assigneeType]",
		})
	}
	return failures
}

// unused is what the plugin says of assigneeType where nothing is assigned.
const unused = "This attribute is now optional and is only required together with the assignee_id attribute. Please remove it from your configuration."

func warnPrimaryIP(inputs property.Map) []string {
	warnings := warnDatacenter(inputs)
	if !inputs.Get("assigneeType").IsNull() && inputs.Get("assigneeId").IsNull() {
		warnings = append(warnings, unused)
	}
	return warnings
}

// warnDatacenter is for every resource that still has the attribute.
func warnDatacenter(inputs property.Map) []string {
	if inputs.Get("datacenter").IsNull() {
		return nil
	}
	return []string{"The datacenter attribute is deprecated and will be removed after 1 July 2026. Please use the location attribute instead. " +
		"See https://docs.hetzner.cloud/changelog#2025-12-16-phasing-out-datacenters."}
}

// prefix is the network that an IPv6 address stands for.
func (ip *primaryIP) prefix() string { return netip.PrefixFrom(ip.Address, 64).String() }

func (ip *primaryIP) outputs(inputs property.Map) property.Map {
	network := ""
	if ip.Type == "ipv6" {
		network = ip.prefix()
	}
	return values(map[string]any{
		"name": ip.Name, "type": ip.Type, "location": ip.Location, "labels": ip.Labels,
		"ipAddress": ip.Address.String(), "ipNetwork": network,
		"assigneeId": ip.Assignee, "assigneeType": "server",
		"autoDelete": ip.AutoDelete, "deleteProtection": ip.Protected,
		"datacenter": text(inputs, "datacenter"),
	})
}

func (s *state) primaryIPNamed(name string) *primaryIP {
	for _, ip := range s.PrimaryIPs {
		if ip.Name == name {
			return ip
		}
	}
	return nil
}

// addPrimaryIP completes ip with an ID and an address.
func (c *Cloud) addPrimaryIP(st *state, ip *primaryIP) error {
	if ip.Type != "ipv4" && ip.Type != "ipv6" {
		return invalid("type", "must be one of ipv4, ipv6")
	}
	if _, ok := findLocation(ip.Location); !ok {
		return invalid("location", fmt.Sprintf("location %q not found", ip.Location))
	}
	ip.ID = st.nextID()
	if ip.Name == "" {
		ip.Name = "primary_ip-" + formatID(ip.ID)
	}
	if st.primaryIPNamed(ip.Name) != nil {
		return alreadyUsed("primary IP name")
	}
	address, err := c.allocate(st, ip.ID, ip.Type)
	if err != nil {
		return err
	}
	ip.Address = address
	st.PrimaryIPs[ip.ID] = ip
	return nil
}

func (c *Cloud) createPrimaryIP(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
	if number(r.Inputs, "assigneeId") != 0 && c.options.Machines != nil {
		return "", property.Map{}, errRunning
	}
	ip := &primaryIP{
		Name: text(r.Inputs, "name"), Type: text(r.Inputs, "type"), Labels: labels(r.Inputs),
		Location:   locationOf(r.Inputs),
		AutoDelete: flag(r.Inputs, "autoDelete", false),
		Protected:  flag(r.Inputs, "deleteProtection", false),
	}
	err := c.store.update(func(st *state) error {
		if id := number(r.Inputs, "assigneeId"); id != 0 {
			s, ok := st.Servers[id]
			if !ok {
				return notFound("server", id)
			}
			ip.Location = s.Location
			if err := c.addPrimaryIP(st, ip); err != nil {
				return err
			}
			return st.assign(s, ip)
		}
		return c.addPrimaryIP(st, ip)
	})
	if err != nil {
		return "", property.Map{}, err
	}
	return formatID(ip.ID), ip.outputs(r.Inputs), nil
}

// locationOf reads location or, as "hel1" of "hel1-dc2", datacenter.
func locationOf(inputs property.Map) string {
	if name := text(inputs, "location"); name != "" {
		return name
	}
	name, _, _ := strings.Cut(text(inputs, "datacenter"), "-")
	return name
}

// assign gives a server an address that nothing else has.
func (s *state) assign(srv *server, ip *primaryIP) error {
	slot := &srv.IPv4
	if ip.Type == "ipv6" {
		slot = &srv.IPv6
	}
	switch {
	case ip.Assignee != 0:
		return &apiError{"primary ip is already assigned", "primary_ip_assigned"}
	case ip.Location != srv.Location:
		return invalid("public_net", fmt.Sprintf("primary IP %s is in %s, the server in %s", ip.Name, ip.Location, srv.Location))
	case *slot != 0:
		return &apiError{"server has a primary IP of that type already", "server_has_" + ip.Type}
	}
	ip.Assignee, *slot = srv.ID, ip.ID
	return nil
}

// release takes a server's address away; one that is to go with the server goes.
func (s *state) release(ip *primaryIP) {
	if srv, ok := s.Servers[ip.Assignee]; ok {
		switch ip.ID {
		case srv.IPv4:
			srv.IPv4 = 0
		case srv.IPv6:
			srv.IPv6 = 0
		}
	}
	ip.Assignee = 0
	if ip.AutoDelete {
		delete(s.PrimaryIPs, ip.ID)
	}
}

func (c *Cloud) readPrimaryIP(_ context.Context, r provider.ReadRequest) (inputs, outputs property.Map, found bool, err error) {
	id, err := parseID(r.ID)
	if err != nil {
		return inputs, outputs, false, err
	}
	err = c.store.view(func(st *state) error {
		if ip, ok := st.PrimaryIPs[id]; ok {
			found = true
			outputs = ip.outputs(r.Inputs)
			inputs = current(r, outputs, "name", "type", "location", "labels", "autoDelete", "deleteProtection")
		}
		return nil
	})
	return inputs, outputs, found, err
}

func (c *Cloud) updatePrimaryIP(_ context.Context, r provider.UpdateRequest) (property.Map, error) {
	var outputs property.Map
	id, err := parseID(r.ID)
	if err != nil {
		return outputs, err
	}
	err = c.store.update(func(st *state) error {
		ip, ok := st.PrimaryIPs[id]
		if !ok {
			return notFound("primary IP", id)
		}
		if to := number(r.Inputs, "assigneeId"); to != 0 && to != ip.Assignee {
			if c.options.Machines != nil {
				return errRunning
			}
			srv, ok := st.Servers[to]
			if !ok {
				return notFound("server", to)
			}
			st.release(ip)
			if err := st.assign(srv, ip); err != nil {
				return err
			}
		}
		name := text(r.Inputs, "name")
		if other := st.primaryIPNamed(name); other != nil && other != ip {
			return alreadyUsed("primary IP name")
		}
		ip.Name, ip.Labels = name, labels(r.Inputs)
		ip.AutoDelete = flag(r.Inputs, "autoDelete", false)
		ip.Protected = flag(r.Inputs, "deleteProtection", false)
		outputs = ip.outputs(r.Inputs)
		return nil
	})
	return outputs, err
}

func (c *Cloud) deletePrimaryIP(_ context.Context, r provider.DeleteRequest) error {
	id, err := parseID(r.ID)
	if err != nil {
		return err
	}
	return c.store.update(func(st *state) error {
		ip, ok := st.PrimaryIPs[id]
		switch {
		case !ok:
			return nil
		case ip.Protected:
			return isProtected("primary IP")
		case ip.Assignee != 0 && c.options.Machines != nil:
			return errRunning
		}
		st.release(ip)
		delete(st.PrimaryIPs, id)
		return nil
	})
}
