package dockerbuild

import (
	"errors"

	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
)

// exports are the outputs of a build, those of the push and load flags included.
// problem is called with each one that cannot be.
func (a *imageArgs) exports(problem func(index int, err error)) []*entry {
	all := a.Exports
	if a.Push {
		all = append(all[:len(all):len(all)], sdk.Export{Raw: ptr("type=registry")})
	}
	if a.Load {
		all = append(all[:len(all):len(all)], sdk.Export{Raw: ptr("type=docker")})
	}
	var entries []*entry
	for index, export := range all {
		if value(export.Disabled) {
			continue
		}
		e, err := exportEntry(export)
		if err == nil && e.pushes() && len(a.Tags) == 0 && e.attributes["name"] == "" {
			err = errors.New("at least one tag or export name is needed when pushing to a registry")
		}
		if err != nil {
			problem(index, err)
			continue
		}
		entries = append(entries, e)
	}
	return entries
}

func exportEntry(export sdk.Export) (*entry, error) {
	alternatives, err := alternatives(export)
	switch {
	case err != nil:
		return nil, err
	case len(alternatives) == 0:
		return nil, errors.New("type is required for output")
	case len(alternatives) > 1:
		return nil, errors.New("exports should only specify one export type")
	}
	return alternatives[0].asImage(), nil
}

// asImage writes a registry export as what it is short for.
func (e *entry) asImage() *entry {
	if e.kind == "registry" {
		e.kind = "image"
		if e.attributes["push"] == "" {
			e.attributes["push"] = "true"
		}
	}
	return e
}

// pushes tells whether a registry gets the result.
func (e *entry) pushes() bool { return e.kind == "image" && e.attributes["push"] == "true" }

// isExported tells whether a registry has the image.
func (a *imageArgs) isExported() bool {
	for _, e := range a.exports(func(int, error) {}) {
		if e.pushes() {
			return true
		}
	}
	return false
}

// missingExport is the index of the first export to disk that is not there any
// more, or -1.
func (a *imageArgs) missingExport(dir string) int {
	for i, export := range a.Exports {
		switch {
		case export.Local != nil && !isDir(within(dir, export.Local.Dest)):
			return i
		case export.Tar != nil && !isFile(within(dir, export.Tar.Dest)):
			return i
		}
	}
	return -1
}

func ptr[T any](v T) *T { return &v }
