package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/clawft/infra/host/release"
)

// historyLength is how many reports a place keeps.
const historyLength = 50

// Record is everything that a place's directory says about its gateway besides the releases
// themselves and the data. It is replaced whole.
type Record struct {
	// Owner is whose gateway it is: of the release that was verified last. A place whose
	// owner has no ID is nobody's.
	Owner release.Owner `json:"owner"`
	// Key goes into the IDs of releases.
	Key []byte `json:"key"`
	// Generation grows whenever another release is to run than before, or the same one anew.
	Generation int `json:"generation"`
	// Current is the ID of the release that the unit starts; "" starts none.
	Current string `json:"current"`
	// Previous is what a rollback deploys.
	Previous string `json:"previous"`
	// Pending is there for as long as the current release is not verified.
	Pending *Pending `json:"pending,omitempty"`
	// Failed are releases that were tried since one was verified, the last one at the end. What
	// they made of the data is undone before anything is started, in case it has not been.
	Failed []string `json:"failed,omitempty"`
	// Images are those that deployments brought here, and that nobody needs apart from
	// releases. Each is listed before it is pulled.
	Images []string `json:"images"`
	// History has the last reports, the newest at the end.
	History []release.Report `json:"history"`
}

// Pending says that a release is being verified.
type Pending struct {
	// Deployment is who verifies it.
	Deployment string `json:"deployment"`
	// Back is the release to go back to; "" is none.
	Back string `json:"back"`
}

// owned tells whether the gateway is somebody's.
func (r Record) owned() bool { return r.Owner.ID != "" }

// swapped is the record while a deployment verifies a release.
func (r Record) swapped(deployment, id string) Record {
	r.Generation++
	r.Pending = &Pending{Deployment: deployment, Back: r.Current}
	r.Current = id
	return r
}

// back is the record when a pending release turned out to be no good.
func (r Record) back() Record {
	r.Generation++
	r.Failed = slices.DeleteFunc(slices.Clone(r.Failed), func(id string) bool { return id == r.Current })
	r.Failed = append(r.Failed, r.Current)
	r.Current, r.Pending = r.Pending.Back, nil
	return r
}

// kept is the record when a pending release was verified.
func (r Record) kept(owner release.Owner) Record {
	if back := r.Pending.Back; back != "" && back != r.Current {
		r.Previous = back
	}
	owner.Takes = nil
	r.Owner, r.Pending, r.Failed = owner, nil, nil
	return r
}

// told is the record with a report in its history. Log lines are too many to keep.
func (r Record) told(report release.Report) Record {
	report.Log = nil
	r.History = append(slices.Clone(r.History), report)
	if surplus := len(r.History) - historyLength; surplus > 0 {
		r.History = r.History[surplus:]
	}
	return r
}

// releases are the IDs of those that have to stay.
func (r Record) releases() []string {
	kept := []string{r.Current, r.Previous}
	if r.Pending != nil {
		kept = append(kept, r.Pending.Back)
	}
	return slices.DeleteFunc(kept, func(id string) bool { return id == "" })
}

// record reads what a place says. One without a record has the zero Record.
func (p place) record() (Record, error) {
	var record Record
	content, err := p.Disk.Read(p.recordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return record, nil
	}
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(content, &record); err != nil {
		return record, fmt.Errorf("reading %s, which is damaged: %w; it cannot be known what runs here: move it away to install anew, the data stay", p.recordFile(), err)
	}
	return record, nil
}

// write replaces the record, or what is to become it.
func (p place) write(file string, record Record) error {
	content, err := json.MarshalIndent(record, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding the record of %s: %w", p.name, err)
	}
	return p.Disk.Replace(file, append(content, '\n'), 0o600)
}

// load reads a release that was staged.
func (p place) load(id string) (release.Release, error) {
	var r release.Release
	content, err := p.Disk.Read(p.releaseFile(id))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("reading %s, which is damaged: %w", p.releaseFile(id), err)
	}
	return r, nil
}

// places are those that have a record, with what it says.
func (h *Host) places() ([]place, []Record, error) {
	names, err := h.Disk.List(h.State)
	if err != nil {
		return nil, nil, err
	}
	var places []place
	var records []Record
	for _, name := range names {
		p := place{h, name}
		// Only who has been deployed has one: there is more below State than places.
		record, err := p.record()
		if err != nil {
			return nil, nil, err
		}
		if record.Key != nil {
			places, records = append(places, p), append(records, record)
		}
	}
	return places, records, nil
}
