package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// record is what a process has to know of a gateway after another one was killed.
type record struct {
	Upstream netip.AddrPort `json:"upstream"`
	// Held says that requests were held. Whoever holds them comes back (Client), and until then
	// none of those that are at the door may pass.
	Held bool `json:"held"`
}

// records are files in a directory that does not outlast a reboot, so none is synced.
type records struct{ dir string }

const recordSuffix = ".json"

func (r records) path(gateway string) string { return filepath.Join(r.dir, gateway+recordSuffix) }

func (r records) write(gateway string, it record) error {
	content, err := json.Marshal(it)
	if err != nil {
		return fmt.Errorf("writing the record of gateway %s: %w", gateway, err)
	}
	fresh := filepath.Join(r.dir, gateway+".new")
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return fmt.Errorf("writing the record of gateway %s: %w", gateway, err)
	}
	if err := os.Rename(fresh, r.path(gateway)); err != nil {
		return fmt.Errorf("writing the record of gateway %s: %w", gateway, err)
	}
	return nil
}

func (r records) remove(gateway string) error {
	if err := os.Remove(r.path(gateway)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the record of gateway %s: %w", gateway, err)
	}
	return nil
}

// read returns the records by gateway: all that can be read, whatever is wrong with another.
func (r records) read() (map[string]record, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the gateways' records: %w", err)
	}
	all := map[string]record{}
	var problems []error
	for _, entry := range entries {
		gateway, ok := strings.CutSuffix(entry.Name(), recordSuffix)
		if !ok {
			continue
		}
		var it record
		content, err := os.ReadFile(filepath.Join(r.dir, entry.Name()))
		if err == nil {
			err = json.Unmarshal(content, &it)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("reading the record of gateway %s: %w", gateway, err))
			continue
		}
		all[gateway] = it
	}
	return all, errors.Join(problems...)
}
