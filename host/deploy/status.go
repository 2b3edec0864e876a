package deploy

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

// Phase says how far the process of a gateway's unit is.
type Phase string

const (
	// Starting is until the gateway is healthy.
	Starting Phase = "starting"
	// Healthy says that the gateway answers as the version that it should be.
	Healthy Phase = "healthy"
	// Ended says that the process is ending, or has ended.
	Ended Phase = "ended"
)

// Status is what the process of a gateway's unit says about itself. It does not outlast a reboot.
type Status struct {
	// Instance is another one with each process.
	Instance string `json:"instance"`
	// Generation is of the record by which it was started.
	Generation int    `json:"generation"`
	Release    string `json:"release"`
	Version    string `json:"version"`
	Phase      Phase  `json:"phase"`
	// Container and Upstream are where the gateway runs and listens.
	Container string         `json:"container,omitempty"`
	Upstream  netip.AddrPort `json:"upstream"`
	// Routed is the name under which the proxy has the gateway; "" while it has it not.
	Routed string `json:"routed,omitempty"`
	// Opened is the name that the proxy was told before, until it was told to forget that one.
	Opened string `json:"opened,omitempty"`
	// Failure is why this process failed, or the last one of the same generation.
	Failure *Failure `json:"failure,omitempty"`
}

// Failure is why a gateway does not run.
type Failure struct {
	Cause string `json:"cause"`
	// Log is the last lines that the gateway wrote.
	Log []string `json:"log,omitempty"`
	// Gateway says that the gateway or the engine's view of it is at fault, and not an engine
	// that does not answer.
	Gateway bool `json:"gateway"`
	// Ended says that the gateway ended by itself.
	Ended bool `json:"ended"`
	// Count is how many gateways of this generation failed.
	Count int `json:"count"`
}

// status reads it. It is an error when there is none.
func (p place) status() (Status, error) {
	var status Status
	content, err := p.Disk.Read(p.statusFile())
	if err != nil {
		return status, err
	}
	if err := json.Unmarshal(content, &status); err != nil {
		return status, fmt.Errorf("reading %s: %w", p.statusFile(), err)
	}
	return status, nil
}

// putStatus says how far the process of the unit is.
func (p place) putStatus(status Status) error {
	content, err := json.Marshal(status)
	if err != nil {
		return fmt.Errorf("encoding the status of %s: %w", p.name, err)
	}
	return p.Disk.Put(p.statusFile(), content, 0o600)
}
