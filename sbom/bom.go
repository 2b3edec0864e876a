package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"

	"github.com/clawft/infra/registry"
)

// bill collects components and what they consist of; a component that two
// platforms share is there once.
type bill struct {
	components map[string]cyclonedx.Component
	// parts are by the reference of what they are parts of.
	parts map[string][]string
	// incomplete are references of what has parts that are not known.
	incomplete []string
}

// add returns the reference of a component.
func (b *bill) add(component cyclonedx.Component) string {
	b.components[component.BOMRef] = component
	return component.BOMRef
}

// addTo adds a component as a part of another one.
func (b *bill) addTo(whole string, part cyclonedx.Component) string {
	reference := b.add(part)
	b.join(whole, reference)
	return reference
}

func (b *bill) join(whole, part string) {
	if !slices.Contains(b.parts[whole], part) {
		b.parts[whole] = append(b.parts[whole], part)
	}
}

// Of lists what an image is made of. The list has neither a date nor a number, so
// the same image always has the same list.
func Of(image *registry.Image) (*cyclonedx.BOM, error) {
	repository, digest, _ := strings.Cut(image.Ref, "@")
	whole := containerOf(repository, digest, "")
	b := &bill{components: map[string]cyclonedx.Component{}, parts: map[string][]string{}}
	for _, platform := range image.Platforms {
		if err := b.addPlatform(image, platform.Name, repository, whole.BOMRef); err != nil {
			return nil, fmt.Errorf("listing what %s is made of for %s: %w", image.Ref, platform.Name, err)
		}
	}
	return b.document(whole), nil
}

func (b *bill) addPlatform(image *registry.Image, platform, repository, whole string) error {
	content, _ := image.For(platform)
	digest, err := content.Digest()
	if err != nil {
		return fmt.Errorf("reading its digest: %w", err)
	}
	found, err := read(content)
	if err != nil {
		return err
	}
	_, architecture, _ := strings.Cut(platform, "/")
	container := b.addTo(whole, containerOf(repository, digest.String(), architecture))

	system := readDistribution(found.osRelease)
	if system.id != "" {
		b.addTo(container, system.component())
	}
	packages, err := debianPackages(found, system)
	if err != nil {
		return err
	}
	for _, component := range packages {
		b.addTo(container, component)
	}
	return b.addProgram(found, container)
}

// addProgram adds the gateway and the crates in it.
func (b *bill) addProgram(found content, container string) error {
	// Whatever is not known, the list says so, rather than that there is nothing.
	if found.program == nil {
		b.incomplete = append(b.incomplete, container)
		return nil
	}
	sum := sha256.Sum256(found.program)
	hash := hex.EncodeToString(sum[:])
	program := b.addTo(container, cyclonedx.Component{
		Type: cyclonedx.ComponentTypeApplication, Name: gateway, BOMRef: "file:" + gateway + "@sha256:" + hash,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hash}},
	})
	crates, err := readCrates(found.program)
	if errors.Is(err, errNoCrates) {
		b.incomplete = append(b.incomplete, program)
		return nil
	}
	if err != nil {
		return err
	}
	// What only ran during the build is not in the image, and has no reference.
	references := make([]string, len(crates))
	for n, crate := range crates {
		if crate.Kind != "build" {
			references[n] = b.add(crate.component())
		}
	}
	for n, crate := range crates {
		if references[n] == "" {
			continue
		}
		if crate.Root {
			b.join(program, references[n])
		}
		for _, at := range crate.Dependencies {
			if references[at] != "" {
				b.join(references[n], references[at])
			}
		}
	}
	return nil
}

// containerOf is an image, or an image for one architecture.
func containerOf(repository, digest, architecture string) cyclonedx.Component {
	qualifiers := map[string]string{"repository_url": repository}
	if architecture != "" {
		qualifiers["arch"] = architecture
	}
	name := repository[strings.LastIndex(repository, "/")+1:]
	url := packageurl.NewPackageURL(packageurl.TypeOCI, "", name, digest, packageurl.QualifiersFromMap(qualifiers), "").String()
	_, hash, _ := strings.Cut(digest, ":")
	return cyclonedx.Component{
		BOMRef: url, Type: cyclonedx.ComponentTypeContainer, PackageURL: url, Name: repository, Version: digest,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hash}},
	}
}

// document puts everything in the order of its references.
func (b *bill) document(whole cyclonedx.Component) *cyclonedx.BOM {
	bom := cyclonedx.NewBOM()
	bom.SpecVersion = cyclonedx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.Metadata = &cyclonedx.Metadata{Component: &whole}
	components, dependencies := []cyclonedx.Component{}, []cyclonedx.Dependency{}
	for _, component := range b.components {
		components = append(components, component)
	}
	slices.SortFunc(components, func(a, b cyclonedx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	for reference, parts := range b.parts {
		slices.Sort(parts)
		dependencies = append(dependencies, cyclonedx.Dependency{Ref: reference, Dependencies: &parts})
	}
	slices.SortFunc(dependencies, func(a, b cyclonedx.Dependency) int { return strings.Compare(a.Ref, b.Ref) })
	bom.Components, bom.Dependencies = &components, &dependencies
	if len(b.incomplete) > 0 {
		var unknown []cyclonedx.BOMReference
		slices.Sort(b.incomplete)
		for _, reference := range slices.Compact(b.incomplete) {
			unknown = append(unknown, cyclonedx.BOMReference(reference))
		}
		bom.Compositions = &[]cyclonedx.Composition{{
			Aggregate: cyclonedx.CompositionAggregateUnknown, Dependencies: &unknown,
		}}
	}
	return bom
}
