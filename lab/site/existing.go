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

type existingMachine struct{ address, hostKey string }

// existing starts the existing machine, if it does not run yet.
func (s *Site) existing(ctx context.Context) (existingMachine, error) {
	key, err := loadKey(filepath.Join(s.Dir, "ssh"), existingName+"_host_ed25519")
	if err != nil {
		return existingMachine{}, err
	}
	address, err := s.Machines.Network().Address(existingAddress)
	if err != nil {
		return existingMachine{}, err
	}
	userData, err := machine.PlainUserData(machine.HostKey{Private: key.Private, Public: key.Public}, existingUser, []string{s.identity.Public})
	if err != nil {
		return existingMachine{}, err
	}
	cas, err := s.registryCAs()
	if err != nil {
		return existingMachine{}, err
	}
	if _, err := s.Machines.Create(ctx, machine.Spec{
		Name:           existingName,
		IP:             address,
		UserData:       userData,
		AuthorizedKeys: []string{s.identity.Public},
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
