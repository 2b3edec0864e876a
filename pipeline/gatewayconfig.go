package pipeline

import (
	"encoding/json"
	"strings"

	"github.com/clawft/infra/config/gateway"
)

// JSON renders the gateway's config.json. The same configuration always gives
// the same text.
func (g *Gateway) JSON() (json.RawMessage, error) {
	return g.document.JSON(gateway.Listener{Host: "0.0.0.0", Port: g.Port})
}

// checkConfig reads config.json as the gateway of a version does.
func (g *Gateway) checkConfig(r *report, at, version string) {
	g.document = gateway.Read(version, g.Config)
	for _, problem := range g.document.Problems {
		r.wrong(at+"."+problem.Path, problem.Given, "%s", problem.Want)
	}
}

// warnings are about what the gateway takes but does not use, and about keys
// that only it may know.
func (g *Gateway) warnings(at string) []string {
	var warnings []string
	for _, warning := range g.document.Warnings {
		warnings = append(warnings, at+"."+warning.Path+": got "+warning.Given+"; "+warning.Want)
	}
	return warnings
}

// checkVariables demands a secret for every environment variable that the
// configuration names, and the API key of every provider whose models it names.
func (g *Gateway) checkVariables(r *report, at, secretsPath string, secrets map[string]string) {
	var mentioned []string
	for _, variable := range g.document.Variables {
		mentioned = append(mentioned, variable.Name)
		// What is no name may be the token itself, and is reported already.
		if _, given := secrets[variable.Name]; !given && variableName.MatchString(variable.Name) {
			r.wrong(at+"."+variable.Path, variable.Name+", which is not among the secrets", "a secret of that name: %s", r.setSecretCommand(secretsPath+"."+variable.Name))
		}
	}
	for _, model := range g.document.Models {
		provider, _, _ := strings.Cut(model.Name, "/")
		key, needed := providerKeys[provider]
		if _, given := secrets[key]; needed && !given {
			r.wrong(at+"."+model.Path, quote(model.Name)+" without an API key", "the secret %s: %s", key, r.setSecretCommand(secretsPath+"."+key))
		}
	}
	checkMisspelt(r, secretsPath, secrets, mentioned)
}
