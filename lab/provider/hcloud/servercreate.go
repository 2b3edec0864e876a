package hcloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/machine"
	"github.com/clawft/infra/lab/provider"
)

// createServer orders a server. What is ordered is made, whether who ordered it
// waits for it or not.
func (c *Cloud) createServer(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
	ctx = context.WithoutCancel(ctx)
	var srv *server
	err := c.store.update(func(st *state) (err error) {
		srv, err = c.reserve(st, r.Inputs)
		return err
	})
	if err != nil {
		return "", property.Map{}, err
	}
	if err := c.finish(ctx, srv); err != nil {
		return "", property.Map{}, errors.Join(err, c.destroy(ctx, srv))
	}
	var outputs property.Map
	err = c.store.view(func(st *state) error {
		outputs = st.outputs(srv, "running", r.Inputs)
		return nil
	})
	return formatID(srv.ID), outputs, err
}

// finish makes the machine of a server that was ordered.
func (c *Cloud) finish(ctx context.Context, srv *server) error {
	if c.options.Machines != nil {
		spec := *srv.Ordered
		spec.RegistryCAs = c.options.RegistryCAs
		if _, err := c.options.Machines.Create(ctx, spec); err != nil {
			return err
		}
	}
	return c.store.update(func(st *state) error {
		st.Servers[srv.ID].Ordered = nil
		return nil
	})
}

// Resume finishes what was ordered when the process that was making it ended:
// Hetzner's does not end with its clients.
func (c *Cloud) Resume(ctx context.Context) error {
	var ordered []*server
	err := c.store.view(func(st *state) error {
		for _, id := range slices.Sorted(maps.Keys(st.Servers)) {
			if srv := st.Servers[id]; srv.Ordered != nil {
				ordered = append(ordered, srv)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, srv := range ordered {
		// What there is of it may be half of a machine.
		if err := c.options.Machines.Delete(ctx, srv.Machine); err != nil {
			return err
		}
		if err := c.finish(ctx, srv); err != nil {
			return err
		}
	}
	return nil
}

// reserve checks what the API checks, records the server with what its machine has
// to be, and gives it its addresses.
func (c *Cloud) reserve(st *state, inputs property.Map) (*server, error) {
	refuse := func(err error) (*server, error) { return nil, err }

	name, typeName, imageName := text(inputs, "name"), text(inputs, "serverType"), text(inputs, "image")
	serverType, ok := findServerType(typeName)
	if !ok {
		return refuse(fmt.Errorf("server type %s not found", typeName))
	}
	if _, ok := findImage(imageName, serverType.architecture); !ok {
		return refuse(fmt.Errorf("image %s for architecture %s not found", imageName, serverType.architecture))
	}
	net := publicNetOf(inputs)
	place, err := st.place(serverType, locationOf(inputs), net)
	if err != nil {
		return refuse(err)
	}
	keys, err := st.authorizedKeys(texts(inputs, "sshKeys"))
	if err != nil {
		return refuse(err)
	}
	if err := st.checkServerName(name, 0); err != nil {
		return refuse(err)
	}
	if err := checkProtection(inputs); err != nil {
		return refuse(err)
	}
	userData := text(inputs, "userData")
	if len(userData) > maxUserData {
		return refuse(invalid("user_data", fmt.Sprintf("user data has %d bytes, more than the allowed %d", len(userData), maxUserData)))
	}
	srv := &server{
		ID: st.nextID(), Name: name, Machine: name, Type: typeName, Image: imageName, Location: place,
		Labels: labels(inputs), Disk: serverType.disk,
		Backups:   flag(inputs, "backups", false),
		Protected: flag(inputs, "deleteProtection", false),
	}
	st.Servers[srv.ID] = srv
	if err := c.address(st, srv, net); err != nil {
		return refuse(err)
	}
	if err := st.attachAll(srv, numbers(inputs, "firewallIds")); err != nil {
		return refuse(err)
	}
	if c.options.Machines == nil {
		return srv, nil
	}
	if srv.IPv4 == 0 {
		return refuse(errors.New("creating a server without IPv4: the lab's network has no IPv6 by which its machine could be reached"))
	}
	srv.Ordered = &machine.Spec{
		Name: srv.Machine, InstanceID: formatID(srv.ID), IP: st.PrimaryIPs[srv.IPv4].Address,
		UserData: userData, AuthorizedKeys: keys,
	}
	return srv, nil
}

// place decides where a server is created.
func (s *state) place(t serverType, wanted string, net publicNet) (string, error) {
	if wanted == "" {
		for _, id := range []int{net.ipv4, net.ipv6} {
			if ip, ok := s.PrimaryIPs[id]; ok {
				wanted = ip.Location
			}
		}
	}
	if wanted == "" {
		if i := slices.IndexFunc(t.locations, t.availableAt); i >= 0 {
			return t.locations[i], nil
		}
		wanted = t.locations[0]
	}
	if _, ok := findLocation(wanted); !ok {
		return "", invalid("location", fmt.Sprintf("location %q not found", wanted))
	}
	if t.deprecated() {
		return "", fmt.Errorf("server type %q is unavailable in all locations and can no longer be ordered", t.name)
	}
	if t.deprecatedAt(wanted) {
		return "", fmt.Errorf("server type %q is unavailable in %q and can no longer be ordered", t.name, wanted)
	}
	if !t.availableAt(wanted) {
		return "", &apiError{"unsupported location for server type", "invalid_input"}
	}
	return wanted, nil
}

func (s *state) authorizedKeys(namesOrIDs []string) ([]string, error) {
	var keys []string
	for _, nameOrID := range namesOrIDs {
		key := s.sshKeyNamed(nameOrID)
		if key == nil {
			return nil, fmt.Errorf("SSH key not found: %s", nameOrID)
		}
		keys = append(keys, key.PublicKey)
	}
	return keys, nil
}

// address gives the server what net says, on top of what it has.
func (c *Cloud) address(st *state, srv *server, net publicNet) error {
	for _, half := range []struct {
		version string
		use     bool
		want    int
		have    int
	}{
		{"ipv4", net.useIPv4, net.ipv4, srv.IPv4},
		{"ipv6", net.useIPv6, net.ipv6, srv.IPv6},
	} {
		had := st.PrimaryIPs[half.have]
		keep := half.use && had != nil && (half.want == had.ID || half.want == 0 && had.AutoDelete)
		if keep {
			continue
		}
		if had != nil {
			st.release(had)
		}
		if !half.use {
			continue
		}
		ip := &primaryIP{Type: half.version, Location: srv.Location, AutoDelete: true}
		if half.want != 0 {
			var ok bool
			if ip, ok = st.PrimaryIPs[half.want]; !ok {
				return notFound("primary IP", half.want)
			}
			if ip.Type != half.version {
				return &apiError{"the primary IP has another version than the place it is given for", "primary_ip_version_mismatch"}
			}
		} else if err := c.addPrimaryIP(st, ip); err != nil {
			return err
		}
		if err := st.assign(srv, ip); err != nil {
			return err
		}
	}
	return nil
}

// attachAll puts the server behind these firewalls.
func (s *state) attachAll(srv *server, firewalls []int) error {
	for _, id := range firewalls {
		f, ok := s.Firewalls[id]
		if !ok {
			return notFound("firewall", id)
		}
		if !slices.Contains(f.Servers, srv.ID) {
			f.Servers = append(f.Servers, srv.ID)
		}
	}
	return nil
}
