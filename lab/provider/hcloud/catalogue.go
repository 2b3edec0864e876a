package hcloud

import (
	"slices"
	"strings"
)

// location is a place where servers can be created.
type location struct {
	id                               int
	name, description, country, city string
	latitude, longitude              float64
	zone                             string
}

var locations = []location{
	{1, "fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", 50.47612, 12.370071, "eu-central"},
	{2, "nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", 49.452102, 11.076665, "eu-central"},
	{3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", 60.169855, 24.938379, "eu-central"},
	{4, "ash", "Ashburn, VA", "US", "Ashburn, VA", 39.045821, -77.487073, "us-east"},
	{5, "hil", "Hillsboro, OR", "US", "Hillsboro, OR", 45.54222, -122.951924, "us-west"},
	{6, "sin", "Singapore", "SG", "Singapore", 1.283333, 103.833333, "ap-southeast"},
}

func findLocation(name string) (location, bool) {
	i := slices.IndexFunc(locations, func(l location) bool { return l.name == name })
	if i < 0 {
		return location{}, false
	}
	return locations[i], true
}

// The API's names of architectures.
const (
	x86 = "x86"
	arm = "arm"
)

// apiArchitecture translates Go's name.
func apiArchitecture(goarch string) string {
	if goarch == "arm64" {
		return arm
	}
	return x86
}

// serverType is a size of server. Memory and disk are in GB.
type serverType struct {
	id                          int
	name, category              string
	architecture, cpu           string
	cores, memory, disk         int
	locations                   []string
	deprecatedIn                []string
	announced, unavailableAfter string
}

// The second generation of CX and the first of CPX were announced to end in
// October 2025; CPX goes on outside Europe.
const (
	announced        = "2025-10-16T00:00:00Z"
	unavailableAfter = "2025-12-31T00:00:00Z"
)

var (
	europe     = []string{"fsn1", "nbg1", "hel1"}
	everywhere = []string{"fsn1", "nbg1", "hel1", "ash", "hil", "sin"}
)

var serverTypes = []serverType{
	{id: 22, name: "cpx11", category: "regular_purpose", architecture: x86, cpu: "shared", cores: 2, memory: 2, disk: 40,
		locations: everywhere, deprecatedIn: europe, announced: announced, unavailableAfter: unavailableAfter},
	{id: 45, name: "cax11", category: "cost_optimized", architecture: arm, cpu: "shared", cores: 2, memory: 4, disk: 40, locations: europe},
	{id: 93, name: "cax21", category: "cost_optimized", architecture: arm, cpu: "shared", cores: 4, memory: 8, disk: 80, locations: europe},
	{id: 97, name: "ccx13", category: "general_purpose", architecture: x86, cpu: "dedicated", cores: 2, memory: 8, disk: 80, locations: everywhere},
	{id: 104, name: "cx22", category: "cost_optimized", architecture: x86, cpu: "shared", cores: 2, memory: 4, disk: 40,
		locations: europe, deprecatedIn: europe, announced: announced, unavailableAfter: unavailableAfter},
	{id: 109, name: "cpx22", category: "regular_purpose", architecture: x86, cpu: "shared", cores: 2, memory: 4, disk: 80,
		locations: []string{"fsn1", "nbg1", "hel1", "sin"}},
	{id: 114, name: "cx23", category: "cost_optimized", architecture: x86, cpu: "shared", cores: 2, memory: 4, disk: 40, locations: europe},
	{id: 115, name: "cx33", category: "cost_optimized", architecture: x86, cpu: "shared", cores: 4, memory: 8, disk: 80, locations: europe},
}

// description is the name as the console writes it.
func (t serverType) description() string { return strings.ToUpper(t.name) }

// deprecatedAt tells whether the type is deprecated there, and thereby sold no
// longer: the announced dates are past.
func (t serverType) deprecatedAt(location string) bool {
	return slices.Contains(t.deprecatedIn, location)
}

// deprecated is true for a type that is deprecated wherever it was sold.
func (t serverType) deprecated() bool {
	return !slices.ContainsFunc(t.locations, func(l string) bool { return !t.deprecatedAt(l) })
}

// availableAt tells whether a server of the type can be created there.
func (t serverType) availableAt(location string) bool {
	return slices.Contains(t.locations, location) && !t.deprecatedAt(location)
}

func findServerType(name string) (serverType, bool) {
	i := slices.IndexFunc(serverTypes, func(t serverType) bool { return t.name == name })
	if i < 0 {
		return serverType{}, false
	}
	return serverTypes[i], true
}

// typesFor names the types of an architecture that can still be created.
func typesFor(architecture string) []string {
	var names []string
	for _, t := range serverTypes {
		if t.architecture == architecture && slices.ContainsFunc(t.locations, t.availableAt) {
			names = append(names, t.name)
		}
	}
	return names
}

// image is an operating system image. Their numbers are this catalogue's own.
type image struct {
	id                    int
	name, description     string
	flavor, version       string
	architecture, created string
}

// machineImage is the image that lab machines are like.
const machineImage = "debian-12"

var images = []image{
	{id: 1, name: "debian-12", description: "Debian 12", flavor: "debian", version: "12", architecture: x86, created: "2023-06-13T06:00:02Z"},
	{id: 2, name: "debian-12", description: "Debian 12", flavor: "debian", version: "12", architecture: arm, created: "2023-06-13T06:00:06Z"},
	{id: 3, name: "debian-13", description: "Debian 13", flavor: "debian", version: "13", architecture: x86, created: "2025-08-10T06:00:02Z"},
	{id: 4, name: "debian-13", description: "Debian 13", flavor: "debian", version: "13", architecture: arm, created: "2025-08-10T06:00:06Z"},
	{id: 5, name: "ubuntu-22.04", description: "Ubuntu 22.04", flavor: "ubuntu", version: "22.04", architecture: x86, created: "2022-04-21T13:32:38Z"},
	{id: 6, name: "ubuntu-22.04", description: "Ubuntu 22.04", flavor: "ubuntu", version: "22.04", architecture: arm, created: "2023-03-20T10:10:04Z"},
	{id: 7, name: "ubuntu-24.04", description: "Ubuntu 24.04", flavor: "ubuntu", version: "24.04", architecture: x86, created: "2024-04-25T13:26:27Z"},
	{id: 8, name: "ubuntu-24.04", description: "Ubuntu 24.04", flavor: "ubuntu", version: "24.04", architecture: arm, created: "2024-04-25T13:26:51Z"},
}

// findImage looks up an image by name or by number, as servers name theirs.
func findImage(nameOrID, architecture string) (image, bool) {
	i := slices.IndexFunc(images, func(i image) bool {
		return i.architecture == architecture && (i.name == nameOrID || formatID(i.id) == nameOrID)
	})
	if i < 0 {
		return image{}, false
	}
	return images[i], true
}
