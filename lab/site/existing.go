package site

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clawft/infra/lab/machine"
)

// The machine that the lab rents "elsewhere": Pulumi.lab.yaml reaches it over
// SSH as a user with sudo. Its address is past those that the Hetzner stand-in
// gives out.
const (
	existingName    = "gw-2"
	existingUser    = "debian"
	existingAddress = 201
)

// The spare machine is rented, too, for tests that move a host or add one.
const (
	spareName    = "gw-3"
	spareAddress = 202
)

type existingMachine struct{ address, hostKey string }

// existing starts the existing machine, if it does not run yet.
func (s *Site) existing(ctx context.Context) (existingMachine, error) {
	cas, err := s.registryCAs()
	if err != nil {
		return existingMachine{}, err
	}
	return rent(ctx, s.Dir, s.Machines, existingName, existingAddress, cas)
}

// Spare starts a machine that no stack of the lab has, and returns its address
// and host key. It accepts what the existing machine does: the same login, the
// same registry. The lab must have been opened before.
func Spare(ctx context.Context, options Options) (address, hostKey string, err error) {
	dir := Dir(options.Root, options.Name)
	machines, err := Machines(options)
	if err != nil {
		return "", "", err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "registry", "ca.crt"))
	if err != nil {
		return "", "", fmt.Errorf("reading the registry's certificate: %w", err)
	}
	registry := fmt.Sprintf("%s:%d", machines.Network().Gateway(), registryPort)
	spare, err := rent(ctx, dir, machines, spareName, spareAddress, map[string]string{registry: string(ca)})
	return spare.address, spare.hostKey, err
}

// rent starts a machine of a name and of the last number of its address.
func rent(ctx context.Context, dir string, machines *machine.Manager, name string, number int, cas map[string]string) (existingMachine, error) {
	identity, err := loadKey(filepath.Join(dir, "ssh"), "id_ed25519")
	if err != nil {
		return existingMachine{}, err
	}
	key, err := loadKey(filepath.Join(dir, "ssh"), name+"_host_ed25519")
	if err != nil {
		return existingMachine{}, err
	}
	address, err := machines.Network().Address(number)
	if err != nil {
		return existingMachine{}, err
	}
	userData, err := machine.PlainUserData(machine.HostKey{Private: key.Private, Public: key.Public}, existingUser, []string{identity.Public})
	if err != nil {
		return existingMachine{}, err
	}
	if _, err := machines.Create(ctx, machine.Spec{
		Name:           name,
		IP:             address,
		UserData:       userData,
		AuthorizedKeys: []string{identity.Public},
		RegistryCAs:    cas,
	}); err != nil {
		return existingMachine{}, err
	}
	return existingMachine{address: address.String(), hostKey: key.Public}, nil
}

// registryCAs are the private authorities that machines trust, by registry.
func (s *Site) registryCAs() (map[string]string, error) {
	ca, err := os.ReadFile(s.Registry.CAPath())
	if err != nil {
		return nil, fmt.Errorf("reading the registry's certificate: %w", err)
	}
	return map[string]string{s.Registry.Address(): string(ca)}, nil
}
