package release

import (
	"fmt"
	"strings"
)

// RegistryLogin is used for the pull only and is never written to a disk of the host.
type RegistryLogin struct {
	// Address is the registry as it stands in front of the image's name, such as
	// ghcr.io; docker.io for Docker Hub.
	Address  string `json:"address"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func (l RegistryLogin) validate(image string) []error {
	var problems []error
	if l.Username == "" || l.Password == "" {
		problems = append(problems, fmt.Errorf("registry: it needs both a username and a password; leave it out to pull anonymously"))
	}
	if strings.Contains(l.Username, ":") {
		problems = append(problems, fmt.Errorf("registry.username: %q contains a colon", l.Username))
	}
	if given, right := l.Address, registryOf(image); given != right {
		problems = append(problems, fmt.Errorf("registry.address: %q is not the image's registry %q", given, right))
	}
	return problems
}

// registryOf follows Docker's rule: the first part is a registry when it has a dot or a port or is localhost.
func registryOf(image string) string {
	first, _, found := strings.Cut(image, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return "docker.io"
}
