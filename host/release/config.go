package release

import (
	"encoding/json"
	"fmt"
)

// validateConfig checks what the host depends on; the rest of the config is the gateway's business.
func validateConfig(config json.RawMessage, port int) []error {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(config, &top); err != nil || top == nil {
		return []error{fmt.Errorf("config: it is not a JSON object")}
	}
	var gateway map[string]any
	if err := json.Unmarshal(top["gateway"], &gateway); err != nil || gateway == nil {
		return []error{fmt.Errorf("config.gateway: it is missing; the API must be enabled for the health check")}
	}
	// The gateway accepts both spellings.
	get := func(camel, snake string) any {
		if v, ok := gateway[camel]; ok {
			return v
		}
		return gateway[snake]
	}
	var problems []error
	if enabled := get("apiEnabled", "api_enabled"); enabled != true {
		problems = append(problems, fmt.Errorf("config.gateway.apiEnabled: %v is not true; without the API there is no health check", enabled))
	}
	if given := get("apiPort", "api_port"); given != float64(port) {
		problems = append(problems, fmt.Errorf("config.gateway.apiPort: %v is not the release's port %d", given, port))
	}
	if host := gateway["host"]; host != nil && host != "0.0.0.0" && host != "::" {
		problems = append(problems, fmt.Errorf("config.gateway.host: %v is not 0.0.0.0; the host cannot reach another address in the container", host))
	}
	return problems
}
