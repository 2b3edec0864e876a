package deploy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/clawft/infra/host/release"
)

// refusal is an error of what may not touch anything here.
type refusal struct{ cause string }

func (r refusal) Error() string { return r.cause }

// admit returns the place of an owner's gateway: where it is, where one is that it may become,
// or a new one where nobody has a gateway here. Otherwise the error says whose the host is, and
// what to do. Until a release is verified, the gateway is whose it was before.
func (h *Host) admit(owner release.Owner) (place, error) {
	places, records, err := h.places()
	if err != nil {
		return place{}, err
	}
	var other *release.Owner
	for _, key := range append([]string{owner.Key()}, owner.Takes...) {
		for n, record := range records {
			switch {
			case !record.owned():
			case record.Owner.Key() == key:
				return places[n], nil
			case other == nil:
				other = &record.Owner
			}
		}
	}
	if other == nil {
		return place{h, owner.Gateway}, nil
	}
	cause := fmt.Sprintf("this machine runs %v, and is not for %v", *other, owner)
	if other.ID == owner.ID {
		cause += fmt.Sprintf("\nif %s is the new name of %s, say so in clawft:hosts, at %s:\n  was: %s",
			owner.Gateway, other.Gateway, owner.Gateway, other.Gateway)
	}
	cause += fmt.Sprintf("\nto take the machine over, with the gateway's data, say so in clawft:hosts, at %s:\n  takeOver: %s",
		owner.Gateway, other.Key())
	return place{}, errors.New(cause)
}

// find returns the record of the gateway of a name, whoever's it is.
func (h *Host) find(gateway string) (Record, error) {
	_, records, err := h.places()
	if err != nil {
		return Record{}, err
	}
	n := slices.IndexFunc(records, func(r Record) bool { return r.owned() && r.Owner.Gateway == gateway })
	if n < 0 {
		return Record{}, fmt.Errorf("there is no gateway %s on this host", gateway)
	}
	return records[n], nil
}
