package deploy

import "github.com/clawft/infra/host/release"

// Gateway is one that a host has, as its documents say.
type Gateway struct {
	// Place is its name on the host: of its directory, its unit and its container.
	Place  string
	Record Record
	// Status is what the unit's process said last; nil if it said nothing since the boot.
	Status *Status
}

// Gateways are those that somebody owns here, or that are being deployed, by place.
func (h *Host) Gateways() ([]Gateway, error) {
	places, records, err := h.places()
	if err != nil {
		return nil, err
	}
	var gateways []Gateway
	for n, p := range places {
		if !records[n].owned() && records[n].Pending == nil {
			continue
		}
		gateway := Gateway{Place: p.name, Record: records[n]}
		if status, err := p.status(); err == nil {
			gateway.Status = &status
		}
		gateways = append(gateways, gateway)
	}
	return gateways, nil
}

// History is what the last deployments of a gateway did, the newest at the end.
func (h *Host) History(gateway string) ([]release.Report, error) {
	record, err := h.find(gateway)
	return record.History, err
}
