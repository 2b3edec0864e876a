package hcloud

import (
	"context"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// updateServer changes what can be changed without a new server. For a new type
// the real provider calls "poweroff", which cuts the power, and the API starts
// the server again.
func (c *Cloud) updateServer(ctx context.Context, r provider.UpdateRequest) (property.Map, error) {
	id, err := parseID(r.ID)
	if err != nil {
		return property.Map{}, err
	}
	// Tried on a copy first: what the API refuses must not cost a reboot.
	var reboot bool
	err = c.store.view(func(st *state) error {
		srv, ok := st.Servers[id]
		if !ok {
			return notFound("server", id)
		}
		before := srv.Type
		err := c.change(st, srv, r)
		reboot = srv.Type != before
		return err
	})
	if err != nil {
		return property.Map{}, err
	}
	srv, err := c.server(id)
	if err != nil {
		return property.Map{}, err
	}
	if reboot && c.options.Machines != nil {
		if err := c.options.Machines.Cut(ctx, srv.Machine); err != nil {
			return property.Map{}, err
		}
	}
	status, err := c.status(ctx, srv)
	if err != nil {
		return property.Map{}, err
	}
	var outputs property.Map
	err = c.store.update(func(st *state) error {
		srv, ok := st.Servers[id]
		if !ok {
			return notFound("server", id)
		}
		if err := c.change(st, srv, r); err != nil {
			return err
		}
		outputs = st.outputs(srv, status, r.Inputs)
		return nil
	})
	return outputs, err
}

func (c *Cloud) change(st *state, srv *server, r provider.UpdateRequest) error {
	name := text(r.Inputs, "name")
	if err := st.checkServerName(name, srv.ID); err != nil {
		return err
	}
	if err := checkProtection(r.Inputs); err != nil {
		return err
	}
	if err := srv.changeType(text(r.Inputs, "serverType"), flag(r.Inputs, "keepDisk", false)); err != nil {
		return err
	}
	srv.Name, srv.Labels = name, labels(r.Inputs)
	srv.Backups = flag(r.Inputs, "backups", false)
	srv.Protected = flag(r.Inputs, "deleteProtection", false)

	if !r.Inputs.Get("firewallIds").IsNull() {
		wanted := numbers(r.Inputs, "firewallIds")
		for _, f := range st.Firewalls {
			if !slices.Contains(wanted, f.ID) {
				f.Servers = slices.DeleteFunc(f.Servers, func(id int) bool { return id == srv.ID })
			}
		}
		if err := st.attachAll(srv, wanted); err != nil {
			return err
		}
	}
	if net := publicNetOf(r.Inputs); net.given && !sorted(r.OldInputs.Get("publicNets")).Equals(sorted(r.Inputs.Get("publicNets"))) {
		if ip, ok := st.PrimaryIPs[srv.IPv4]; ok && r.OldInputs.Get("publicNets").IsNull() && net.ipv4 != 0 {
			// The real provider takes an address that it was not told of for one that came
			// with the server, and deletes it, be it the one that it then wants to assign.
			st.release(ip)
			delete(st.PrimaryIPs, ip.ID)
		}
		before := srv.IPv4
		if err := c.address(st, srv, net); err != nil {
			return err
		}
		if srv.IPv4 != before && c.options.Machines != nil {
			return errRunning
		}
	}
	return nil
}

// changeType moves the server to another size. The disk never shrinks.
func (srv *server) changeType(name string, keepDisk bool) error {
	if name == srv.Type {
		return nil
	}
	from, _ := findServerType(srv.Type)
	to, ok := findServerType(name)
	if !ok {
		return fmt.Errorf("server type %s not found", name)
	}
	switch {
	case from.architecture != to.architecture:
		return &apiError{fmt.Sprintf("server type %s has the architecture %s, the server %s", name, to.architecture, from.architecture), "invalid_server_type"}
	case !to.availableAt(srv.Location):
		return &apiError{"unsupported location for server type", "invalid_input"}
	case to.disk < srv.Disk:
		return &apiError{fmt.Sprintf("server disk of %d GB is larger than that of server type %s, %d GB", srv.Disk, name, to.disk), "invalid_server_type"}
	}
	srv.Type = name
	if !keepDisk {
		srv.Disk = to.disk
	}
	return nil
}
