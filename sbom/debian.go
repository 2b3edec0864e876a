package sbom

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"
)

// distribution is what a system calls itself, such as debian and 12.
type distribution struct{ id, version string }

func readDistribution(osRelease []byte) distribution {
	var found distribution
	for line := range strings.Lines(string(osRelease)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"'`); key {
		case "ID":
			found.id = value
		case "VERSION_ID":
			found.version = value
		}
	}
	return found
}

func (d distribution) component() cyclonedx.Component {
	return cyclonedx.Component{
		BOMRef: "os:" + d.id + "@" + d.version, Type: cyclonedx.ComponentTypeOS, Name: d.id, Version: d.version,
	}
}

// debianPackages reads what is installed in a system. What was unpacked without
// dpkg replaces what dpkg has of that name. They are in no order.
func debianPackages(c content, system distribution) ([]cyclonedx.Component, error) {
	installed := map[string]cyclonedx.Component{}
	for _, file := range append([][]byte{c.dpkg}, c.unpacked...) {
		reader := textproto.NewReader(bufio.NewReader(bytes.NewReader(file)))
		for {
			stanza, err := reader.ReadMIMEHeader()
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("reading the list of Debian packages: %w", err)
			}
			if status := stanza.Get("Status"); stanza.Get("Package") != "" && (status == "" || strings.HasSuffix(status, " installed")) {
				installed[stanza.Get("Package")] = debianPackage(stanza, system)
			}
			if err != nil {
				break
			}
		}
	}
	return slices.Collect(maps.Values(installed)), nil
}

func debianPackage(stanza textproto.MIMEHeader, system distribution) cyclonedx.Component {
	qualifiers := map[string]string{
		"arch":   stanza.Get("Architecture"),
		"distro": system.id + "-" + system.version,
	}
	// Advisories are about source packages. The field is there where the name
	// differs, with a version where that differs too: "gcc-12 (12.2.0-14)".
	if source := stanza.Get("Source"); source != "" {
		qualifiers["upstream"] = strings.NewReplacer(" (", "@", ")", "").Replace(source)
	}
	url := packageurl.NewPackageURL(packageurl.TypeDebian, system.id, stanza.Get("Package"), stanza.Get("Version"),
		packageurl.QualifiersFromMap(qualifiers), "").String()
	return cyclonedx.Component{
		BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, PackageURL: url,
		Name: stanza.Get("Package"), Version: stanza.Get("Version"),
	}
}
