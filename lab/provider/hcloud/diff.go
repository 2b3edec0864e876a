package hcloud

import (
	"context"
	"regexp"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// differ adjusts the base's comparison to that of the real provider.
type differ struct {
	// sets are lists, nested ones included, whose order means nothing.
	sets []string
	// sticky properties keep their value when they are no longer given: the
	// API has chosen one itself.
	sticky []string
	// same recognizes other values that the provider takes for equal.
	same func(name string, old, new property.Value) bool
}

func (d differ) diff(_ context.Context, r p.DiffRequest, base p.DiffResponse) p.DiffResponse {
	replaces := false
	for path, change := range base.DetailedDiff {
		name := path
		if end := strings.IndexAny(path, ".["); end >= 0 {
			name = path[:end]
		}
		if d.equal(name, r.OldInputs.Get(name), r.Inputs.Get(name)) {
			delete(base.DetailedDiff, path)
			continue
		}
		switch change.Kind {
		case p.AddReplace, p.DeleteReplace, p.UpdateReplace:
			replaces = true
		}
	}
	base.HasChanges = len(base.DetailedDiff) > 0
	// Two resources cannot have one name. One that the provider made up is
	// made up anew for the replacement.
	if name := r.Inputs.Get("name"); replaces && name.IsString() {
		base.DeleteBeforeReplace = !isAutoName(r.Urn.Name(), name.AsString())
	}
	return base
}

func (d differ) equal(name string, old, new property.Value) bool {
	switch {
	case slices.Contains(d.sticky, name) && new.IsNull():
		return true
	case slices.Contains(d.sets, name) && sorted(old).Equals(sorted(new)):
		return true
	}
	return d.same != nil && d.same(name, old, new)
}

// sorted brings lists, at any depth, into one order.
func sorted(v property.Value) property.Value {
	switch {
	case v.IsArray():
		items := v.AsArray().AsSlice()
		for i := range items {
			items[i] = sorted(items[i])
		}
		slices.SortFunc(items, func(a, b property.Value) int { return strings.Compare(a.GoString(), b.GoString()) })
		return property.New(items)
	case v.IsMap():
		m := v.AsMap()
		for key, item := range m.All {
			m = m.Set(key, sorted(item))
		}
		return property.New(m)
	}
	return v
}

var autoSuffix = regexp.MustCompile(`^-[0-9a-f]{7}$`)

// isAutoName tells whether a physical name was made from the logical one.
func isAutoName(logical, name string) bool {
	suffix, found := strings.CutPrefix(name, logical)
	return found && autoSuffix.MatchString(suffix)
}
