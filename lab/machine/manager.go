package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Label marks everything that a lab creates in the engine; its value tells the
// labs of different checkouts apart.
const Label = "clawft.lab"

// Options say where a lab keeps its things.
type Options struct {
	// Root is the checkout. State is kept in its .lab directory.
	Root string
	// Cache survives DownAll. Default: .lab/cache below Root.
	Cache string
	// Network defaults to DefaultNetwork.
	Network Network
}

// Manager creates and removes the machines of one lab.
type Manager struct {
	docker   docker
	recipe   string
	checkout string
	state    string
	cache    string
	network  Network
}

// New returns a manager for the lab of a checkout. It starts nothing.
func New(o Options) (*Manager, error) {
	root, err := filepath.Abs(o.Root)
	if err != nil {
		return nil, fmt.Errorf("finding the checkout: %w", err)
	}
	if o.Cache == "" {
		o.Cache = filepath.Join(root, ".lab", "cache")
	}
	if o.Network.Name == "" {
		o.Network = DefaultNetwork
	}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return nil, fmt.Errorf("creating the lab's cache: %w", err)
	}
	recipe, err := recipeID()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(root))
	return &Manager{
		recipe:   recipe,
		checkout: hex.EncodeToString(sum[:])[:12],
		state:    filepath.Join(root, ".lab", "machines", o.Network.Name),
		cache:    o.Cache,
		network:  o.Network,
	}, nil
}

// labels mark an object as this lab's. A checkout may run labs on several
// networks: tests do.
func (m *Manager) labels() []string {
	return []string{Label + "=" + m.checkout, Label + ".network=" + m.network.Name}
}

// mine makes a docker "ls" list what this lab created. It finds that by label,
// so what an interrupted run left unrecorded is found too.
func (m *Manager) mine(args ...string) []string {
	for _, l := range m.labels() {
		args = append(args, "--filter", "label="+l)
	}
	return args
}

// labelled adds the lab's labels to a docker command that creates something.
func (m *Manager) labelled(args ...string) []string {
	for _, l := range m.labels() {
		args = append(args, "--label", l)
	}
	return args
}

// DownAll removes every container, volume and network of this lab, the state
// of its machines, and the machine image unless another lab's machines run on
// it. The cache gives the image back in seconds.
func (m *Manager) DownAll(ctx context.Context) error {
	err := m.removeAll(ctx)
	if _, rmErr := m.docker.run(ctx, "image", "rm", m.Image()); rmErr != nil && !isNotFound(rmErr) && !isInUse(rmErr) {
		err = errors.Join(err, fmt.Errorf("removing the machine image: %w", rmErr))
	}
	return err
}

// removeAll is DownAll without the image, which tests share.
func (m *Manager) removeAll(ctx context.Context) error {
	var failed []error
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"container", "ls", "--all", "--quiet"}, []string{"container", "rm", "--force", "--volumes"}},
		{[]string{"volume", "ls", "--quiet"}, []string{"volume", "rm", "--force"}},
		{[]string{"network", "ls", "--quiet"}, []string{"network", "rm"}},
	} {
		ids, err := m.docker.run(ctx, m.mine(kind.list...)...)
		if err == nil && ids != "" {
			_, err = m.docker.run(ctx, append(kind.remove, strings.Fields(ids)...)...)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("removing the lab's machines: %w", err))
		}
	}
	if err := os.RemoveAll(m.state); err != nil {
		failed = append(failed, fmt.Errorf("removing the machines' state: %w", err))
	}
	return errors.Join(failed...)
}
