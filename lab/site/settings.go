package site

import (
	"fmt"
	"maps"
	"runtime"
	"strings"

	"github.com/clawft/infra/lab/stack"
)

// existingIndex is the place of the existing machine in Pulumi.lab.yaml's hosts.
const existingIndex = 1

// settings are the values that the lab sets on top of Pulumi.lab.yaml: what
// only this machine knows.
func (s *Site) settings(release Release, existing existingMachine) stack.Settings {
	plain := func(text string) stack.Value { return stack.Value{Text: text} }
	secret := func(text string) stack.Value { return stack.Value{Text: text, Secret: true} }
	host := fmt.Sprintf("clawft:hosts[%d].", existingIndex)
	settings := stack.Settings{
		"clawft:version":              plain(release.Version),
		"clawft:image.repository":     plain(s.Registry.Address() + "/clawft/clawft"),
		"clawft:image.platforms[0]":   plain("linux/" + runtime.GOARCH),
		"clawft:image.source":         plain(release.context()),
		"clawft:image.dockerfile":     plain(release.dockerfile()),
		"clawft:image.username":       plain(s.Registry.Username()),
		"clawft:registryPassword":     secret(s.Registry.Password()),
		"clawft:registryPullToken":    secret(s.Registry.Password()),
		"clawft:hosts[0].hcloud.type": plain(serverType()),
		host + "address":              plain(existing.address),
		host + "hostKey":              plain(existing.hostKey),
		"clawft:sshPrivateKey":        secret(s.identity.Private),
		"github:token":                secret("github_pat_of_the_lab"),
		"hcloud:token":                secret(strings.Repeat("lab0", 16)), // as long as the API's tokens
	}
	if release.Fault != "" {
		// A broken gateway is there to be deployed, and the smoke test stops most
		// of them before. To see that: --set clawft:image.smokeTest=true
		settings["clawft:image.smokeTest"] = plain("false")
	}
	for name, location := range s.bases {
		settings[fmt.Sprintf("clawft:image.contexts[%q]", name)] = plain(location)
	}
	maps.Copy(settings, release.Settings)
	return settings
}

// serverType is a Hetzner type of this machine's architecture, since the lab's
// servers run on this machine.
func serverType() string {
	if runtime.GOARCH == "arm64" {
		return "cax11"
	}
	return "cx23"
}
