package simulation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/clawft/infra/host/release"
)

// snapshots keep the data of places as a release found them.
type snapshots struct {
	world *World
	taken map[string][]string
}

type snapshotsPort struct {
	*Process
	snapshots *snapshots
}

func (s snapshotsPort) Take(_ context.Context, place, id string) error {
	return s.do("take", true, func() error {
		s.world.unused(place)
		if _, is := s.snapshots.taken[place+id]; !is {
			s.snapshots.taken[place+id] = slices.Clone(s.world.data[place])
		}
		return nil
	})
}

func (s snapshotsPort) Restore(_ context.Context, place, id string) error {
	return s.do("restore", true, func() error {
		s.world.unused(place)
		if taken, is := s.snapshots.taken[place+id]; is {
			s.world.data[place] = taken
			delete(s.snapshots.taken, place+id)
		}
		return nil
	})
}

func (s snapshotsPort) Prune(_ context.Context, place string, but []string) error {
	return s.do("prune snapshots", true, func() error {
		maps.DeleteFunc(s.snapshots.taken, func(of string, _ []string) bool {
			id, ours := strings.CutPrefix(of, place)
			return ours && !slices.Contains(but, id)
		})
		return nil
	})
}

// verifierPort lets pass what says that it is signed.
type verifierPort struct{ *Process }

func (v verifierPort) Verify(_ context.Context, r release.Release) error {
	return v.do("verify", false, func() error {
		if r.Signature == nil {
			return errors.New("it is not signed, and this host demands it")
		}
		v.world.accepted[r.Image] = true
		return nil
	})
}

// surroundingsPort finds nothing wrong.
type surroundingsPort struct{ *Process }

func (s surroundingsPort) Check(context.Context, string) (found []string) {
	_ = s.do("surroundings", false, func() error { found = s.world.inTheWay; return nil })
	return found
}
