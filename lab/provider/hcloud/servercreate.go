package hcloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/machine"
	"github.com/clawft/infra/lab/provider"
)

func (c *Cloud) createServer(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
	done, err := c.begin(text(r.Inputs, "name"))
	if err != nil {
		return "", property.Map{}, err
	}
	defer done()
	if err := c.sweep(ctx, text(r.Inputs, "name")); err != nil {
		return "", property.Map{}, err
	}
	var srv *server
	var spec machine.Spec
	err = c.store.update(func(st *state) (err error) {
		srv, spec, err = c.reserve(st, r.Inputs)
		return err
	})
	if err != nil {
		return "", property.Map{}, err
	}
	if c.options.Machines != nil {
		if _, err := c.options.Machines.Create(ctx, spec); err != nil {
			// The cause may be that ctx has ended.
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			return "", property.Map{}, errors.Join(err, c.destroy(cleanup, srv))
		}
	}
	var outputs property.Map
	err = c.store.update(func(st *state) error {
		st.Servers[srv.ID].Unfinished = false
		outputs = st.outputs(srv, "running", r.Inputs)
		return nil
	})
	if err != nil {
		return "", property.Map{}, err
	}
	return formatID(srv.ID), outputs, nil
}

// begin makes sure that one name is worked on once at a time, and so that an
// unfinished server that is found is a dead process's.
func (c *Cloud) begin(name string) (done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.creating[name] {
		return nil, alreadyUsed("server name")
	}
	c.creating[name] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.creating, name)
	}, nil
}

// sweep removes a server of that name that does not count: one that a killed
// process did not finish, or one whose machine is gone.
func (c *Cloud) sweep(ctx context.Context, name string) error {
	var found *server
	err := c.store.view(func(st *state) error {
		for _, srv := range st.Servers {
			if srv.Name == name {
				found = srv
			}
		}
		return nil
	})
	if err != nil || found == nil {
		return err
	}
	if !found.Unfinished {
		if status, err := c.status(ctx, found); err != nil || status != "" {
			return err
		}
	}
	return c.destroy(ctx, found)
}

// reserve checks what the API checks, records the server as unfinished, gives
// it its addresses, and returns what its machine has to be.
func (c *Cloud) reserve(st *state, inputs property.Map) (*server, machine.Spec, error) {
	refuse := func(err error) (*server, machine.Spec, error) { return nil, machine.Spec{}, err }

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
		Backups:    flag(inputs, "backups", false),
		Protected:  flag(inputs, "deleteProtection", false),
		Unfinished: true,
	}
	st.Servers[srv.ID] = srv
	if err := c.address(st, srv, net); err != nil {
		return refuse(err)
	}
	if err := st.attachAll(srv, numbers(inputs, "firewallIds")); err != nil {
		return refuse(err)
	}
	if c.options.Machines == nil {
		return srv, machine.Spec{}, nil
	}
	if srv.IPv4 == 0 {
		return refuse(errors.New("creating a server without IPv4: the lab's network has no IPv6 by which its machine could be reached"))
	}
	return srv, machine.Spec{
		Name: srv.Machine, InstanceID: formatID(srv.ID), IP: st.PrimaryIPs[srv.IPv4].Address,
		UserData: userData, AuthorizedKeys: keys, RegistryCAs: c.options.RegistryCAs,
	}, nil
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
