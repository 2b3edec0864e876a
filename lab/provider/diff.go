package provider

import (
	"slices"

	p "github.com/pulumi/pulumi-go-provider"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// diffInputs compares inputs in detail. replaces tells which top-level
// properties replace the resource when they change. An input that is still
// unknown counts as changed.
func diffInputs(oldInputs, newInputs property.Map, replaces func(name string) bool) p.DiffResponse {
	old := presource.ToResourcePropertyMap(plain(oldInputs))
	diff := old.Diff(presource.ToResourcePropertyMap(plain(newInputs)))
	response := p.DiffResponse{HasChanges: diff != nil, DetailedDiff: map[string]p.PropertyDiff{}}
	for path, change := range plugin.NewDetailedDiffFromObjectDiff(diff, true) {
		if replaces(root(path)) {
			change = change.ToReplace()
		}
		response.DetailedDiff[path] = p.PropertyDiff{Kind: diffKinds[change.Kind], InputDiff: true}
	}
	return response
}

var diffKinds = map[plugin.DiffKind]p.DiffKind{
	plugin.DiffAdd:           p.Add,
	plugin.DiffAddReplace:    p.AddReplace,
	plugin.DiffDelete:        p.Delete,
	plugin.DiffDeleteReplace: p.DeleteReplace,
	plugin.DiffUpdate:        p.Update,
	plugin.DiffUpdateReplace: p.UpdateReplace,
}

// root is the top-level property of a path such as "rules[0].port".
func root(path string) string {
	parsed, err := presource.ParsePropertyPath(path)
	if err != nil || len(parsed) == 0 {
		return path
	}
	name, _ := parsed[0].(string)
	return name
}

func (r Resource) replaces(name string) bool {
	return r.Update == nil || slices.Contains(r.Replace, name)
}
