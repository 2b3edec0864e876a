package deploy

import (
	"encoding/hex"
	"io"
	"path/filepath"
	"time"

	"github.com/clawft/infra/host/disk"
)

// Where a host keeps things, unless it is told otherwise.
const (
	// StateDirectory has a directory for each place, which outlasts a reboot.
	StateDirectory = "/var/lib/clawft"
	// VolatileDirectory has what does not.
	VolatileDirectory = "/run/clawft"
)

// GatewayIdentity is the image's user and group. On the host they are reserved.
var GatewayIdentity = disk.Identity{User: 10001, Group: 10001}

// rootIdentity is of what only we use.
var rootIdentity disk.Identity

// Host is a machine that runs gateways, as one process of it sees it. All fields are needed.
type Host struct {
	Engine       Engine
	Units        Units
	Gate         Gate
	Health       Health
	Verifier     Verifier
	Surroundings Surroundings
	Snapshots    Snapshots
	Disk         disk.Disk
	// State and Volatile are StateDirectory and VolatileDirectory.
	State    string
	Volatile string
	// Now is the host's clock, for what is shown. Deadlines do not depend on it.
	Now func() time.Time
	// Random is a source of secrets: crypto/rand's.
	Random io.Reader
	// Say tells whoever waits what is being done, in a line. No secret is in it.
	Say func(line string)
}

// place is where a gateway lives on its host. Its name is that under which the gateway was
// installed first; the gateway may have another one by now.
type place struct {
	*Host
	name string
}

func (p place) directory() string     { return filepath.Join(p.State, p.name) }
func (p place) recordFile() string    { return filepath.Join(p.directory(), "record.json") }
func (p place) backFile() string      { return filepath.Join(p.directory(), "back.json") }
func (p place) data() string          { return filepath.Join(p.directory(), "data") }
func (p place) preflightData() string { return filepath.Join(p.directory(), "preflight") }
func (p place) releases() string      { return filepath.Join(p.directory(), "releases") }
func (p place) releaseFile(id string) string {
	return filepath.Join(p.releases(), id, "release.json")
}

func (p place) volatile() string       { return filepath.Join(p.Volatile, p.name) }
func (p place) lockFile() string       { return filepath.Join(p.volatile(), "lock") }
func (p place) deploymentFile() string { return filepath.Join(p.volatile(), "deployment") }
func (p place) statusFile() string     { return filepath.Join(p.volatile(), "status.json") }
func (p place) configFile(container string) string {
	return filepath.Join(p.volatile(), container+".config.json")
}

func (p place) unit() string               { return Unit(p.name) }
func (p place) container() string          { return "clawft-" + p.name }
func (p place) preflightContainer() string { return "clawft-" + p.name + "-preflight" }

// Unit is the unit that runs the gateway of a place.
func Unit(place string) string { return "clawft@" + place + ".service" }

// bytes returns fresh random ones.
func (h *Host) bytes(n int) []byte {
	b := make([]byte, n)
	// The kernel's source does not fail, and crypto/rand ends the process if it does.
	_, _ = io.ReadFull(h.Random, b)
	return b
}

// random returns a fresh name of 16 hexadecimal digits.
func (h *Host) random() string { return hex.EncodeToString(h.bytes(8)) }
