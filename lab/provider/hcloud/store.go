package hcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/clawft/infra/lab/flock"
	"github.com/clawft/infra/lab/machine"
)

// state is everything that exists in a cloud, by ID. It holds no secret:
// user-data is given to the machine and forgotten.
type state struct {
	LastID     int                `json:"lastId"`
	Servers    map[int]*server    `json:"servers"`
	PrimaryIPs map[int]*primaryIP `json:"primaryIps"`
	SSHKeys    map[int]*sshKey    `json:"sshKeys"`
	Firewalls  map[int]*firewall  `json:"firewalls"`
}

type server struct {
	ID       int               `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Image    string            `json:"image"`
	Location string            `json:"location"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Machine is the name at creation, which a renamed server's machine keeps.
	Machine string `json:"machine"`
	// IPv4 and IPv6 are IDs of primary IPs, 0 for none.
	IPv4      int  `json:"ipv4,omitempty"`
	IPv6      int  `json:"ipv6,omitempty"`
	Disk      int  `json:"disk"`
	Backups   bool `json:"backups,omitempty"`
	Protected bool `json:"protected,omitempty"`
	// Ordered is what its machine is to be, until that has been made.
	Ordered *machine.Spec `json:"ordered,omitempty"`
}

type primaryIP struct {
	ID       int               `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"` // ipv4 or ipv6
	Location string            `json:"location"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Address is the address itself, or the start of an IPv6 network.
	Address    netip.Addr `json:"address"`
	Assignee   int        `json:"assignee,omitempty"`
	AutoDelete bool       `json:"autoDelete,omitempty"`
	Protected  bool       `json:"protected,omitempty"`
}

type sshKey struct {
	ID          int               `json:"id"`
	Name        string            `json:"name"`
	PublicKey   string            `json:"publicKey"`
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels,omitempty"`
}

type firewall struct {
	ID        int               `json:"id"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels,omitempty"`
	Rules     []rule            `json:"rules,omitempty"`
	Servers   []int             `json:"servers,omitempty"`
	Selectors []string          `json:"selectors,omitempty"`
}

type rule struct {
	Direction    string   `json:"direction"`
	Protocol     string   `json:"protocol"`
	Port         string   `json:"port,omitempty"`
	Sources      []string `json:"sources,omitempty"`
	Destinations []string `json:"destinations,omitempty"`
	Description  string   `json:"description,omitempty"`
}

// firstID is like the API's: a number that nobody takes for an index.
const firstID = 100000

func newState() *state {
	return &state{
		LastID:     firstID,
		Servers:    map[int]*server{},
		PrimaryIPs: map[int]*primaryIP{},
		SSHKeys:    map[int]*sshKey{},
		Firewalls:  map[int]*firewall{},
	}
}

func (s *state) nextID() int {
	s.LastID++
	return s.LastID
}

// store keeps a state in a file, or in memory if path is empty.
type store struct {
	path   string
	mu     sync.Mutex
	memory []byte
}

// view calls read with the current state.
func (s *store) view(read func(*state) error) error {
	return s.transact(func(st *state) (bool, error) { return false, read(st) })
}

// update calls change with the current state and keeps what it did to it,
// unless it returns an error.
func (s *store) update(change func(*state) error) error {
	return s.transact(func(st *state) (bool, error) { return true, change(st) })
}

func (s *store) transact(do func(*state) (write bool, err error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path != "" {
		lock, err := flock.Wait(context.Background(), s.path+".lock")
		if err != nil {
			return fmt.Errorf("locking the cloud's state: %w", err)
		}
		defer lock.Release()
	}
	st, err := s.load()
	if err != nil {
		return err
	}
	write, err := do(st)
	if err != nil || !write {
		return err
	}
	return s.save(st)
}

func (s *store) load() (*state, error) {
	content := s.memory
	if s.path != "" {
		var err error
		content, err = os.ReadFile(s.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the cloud's state: %w", err)
		}
	}
	st := newState()
	if len(content) == 0 {
		return st, nil
	}
	if err := json.Unmarshal(content, st); err != nil {
		return nil, fmt.Errorf("reading the cloud's state in %s: %w", s.path, err)
	}
	return st, nil
}

// save replaces the file as a whole, so that a killed process leaves either
// the old state or the new one.
func (s *store) save(st *state) error {
	content, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the cloud's state: %w", err)
	}
	if s.path == "" {
		s.memory = content
		return nil
	}
	next, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*")
	if err != nil {
		return fmt.Errorf("writing the cloud's state: %w", err)
	}
	defer os.Remove(next.Name())
	_, err = next.Write(content)
	if err == nil {
		err = next.Sync()
	}
	if err = errors.Join(err, next.Close()); err != nil {
		return fmt.Errorf("writing the cloud's state: %w", err)
	}
	if err := os.Rename(next.Name(), s.path); err != nil {
		return fmt.Errorf("writing the cloud's state: %w", err)
	}
	return nil
}
