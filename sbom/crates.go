package sbom

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"
)

const (
	// auditSection is where cargo-auditable puts its list.
	auditSection = ".dep-v0"
	// maxAudit bounds that list, in bytes.
	maxAudit = 64 << 20
	// cratesIO is the source of crates that their name and version identify.
	cratesIO = "crates.io"
)

// errNoCrates marks a program that does not say what crates it is made of.
var errNoCrates = errors.New("the program does not say what crates it is made of")

// crate is an entry of cargo-auditable's list.
type crate struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Source  string `json:"source"`
	// Kind is "build" for what only ran during the build.
	Kind string `json:"kind"`
	// Dependencies are places in the list.
	Dependencies []int `json:"dependencies"`
	Root         bool  `json:"root"`
}

// readCrates reads the list of a program.
func readCrates(program []byte) ([]crate, error) {
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil, errNoCrates // a script, for example
	}
	section := file.Section(auditSection)
	if section == nil {
		return nil, errNoCrates
	}
	compressed, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("reading the program's list of crates: %w", err)
	}
	reader, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("reading the program's list of crates: %w", err)
	}
	var list struct {
		Packages []crate `json:"packages"`
	}
	if err := json.NewDecoder(io.LimitReader(reader, maxAudit)).Decode(&list); err != nil {
		return nil, fmt.Errorf("reading the program's list of crates: %w", err)
	}
	for _, crate := range list.Packages {
		for _, at := range crate.Dependencies {
			if at < 0 || at >= len(list.Packages) {
				return nil, fmt.Errorf("reading the program's list of crates: %s depends on entry %d of %d", crate.Name, at, len(list.Packages))
			}
		}
	}
	return list.Packages, nil
}

func (c crate) component() cyclonedx.Component {
	component := cyclonedx.Component{
		Type: cyclonedx.ComponentTypeLibrary, Name: c.Name, Version: c.Version,
		BOMRef: "crate:" + c.Name + "@" + c.Version,
	}
	// A crate of the workspace, or of a fork, is not the one of that name there.
	if c.Source == cratesIO {
		component.PackageURL = packageurl.NewPackageURL(packageurl.TypeCargo, "", c.Name, c.Version, nil, "").String()
		component.BOMRef = component.PackageURL
	}
	return component
}
