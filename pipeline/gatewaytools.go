package pipeline

import (
	"maps"
	"regexp"
	"slices"
)

// Tools configures what agents can use.
type Tools struct {
	// Web tools.
	Web WebTools `json:"web,omitzero"`
	// Shell commands.
	Exec ExecTool `json:"exec,omitzero"`
	// Restrict all tools to the workspace.
	RestrictToWorkspace bool `json:"restrictToWorkspace,omitempty"`
	// MCP servers, by name.
	MCPServers map[string]MCPServer `json:"mcpServers,omitempty"`
	// Which shell commands may run.
	CommandPolicy CommandPolicy `json:"commandPolicy,omitzero"`
	// Which URLs may be fetched.
	URLPolicy URLPolicy `json:"urlPolicy,omitzero"`
}

// WebTools configures web tools.
type WebTools struct {
	// Web search.
	Search WebSearch `json:"search,omitzero"`
}

// WebSearch configures web search.
type WebSearch struct {
	// Most results of a search.
	MaxResults *int `json:"maxResults,omitempty"`
}

func (WebSearch) refused() map[string]string {
	return map[string]string{"apiKey": "no key here, because config.json is not secret; the gateway reads it from the environment: set secrets.BRAVE_SEARCH_API_KEY"}
}

// ExecTool configures shell commands.
type ExecTool struct {
	// Time limit of a command, in seconds.
	Timeout *int `json:"timeout,omitempty"`
}

// MCPServer is a server of the Model Context Protocol: a command that is
// started, or a URL.
type MCPServer struct {
	// Command to start. It inherits the gateway's environment, secrets included.
	Command string `json:"command,omitempty"`
	// Its arguments.
	Args []string `json:"args,omitempty"`
	// URL of a server that is reached by HTTP.
	URL string `json:"url,omitempty"`
	// Keep the server's tools from the agents.
	InternalOnly *bool `json:"internalOnly,omitempty"`
}

func (MCPServer) refused() map[string]string {
	return map[string]string{"env": "no env: the gateway turns API_KEY into api_key when it reads it; put the variable in secrets, the command inherits it"}
}

// CommandPolicy says which shell commands may run.
type CommandPolicy struct {
	// Mode: allowlist or denylist.
	Mode string `json:"mode,omitempty"`
	// Commands that may run, by base name.
	Allowlist []string `json:"allowlist,omitzero"`
	// Patterns that may not.
	Denylist []string `json:"denylist,omitzero"`
}

// URLPolicy says which URLs may be fetched.
type URLPolicy struct {
	// Whether URLs are checked.
	Enabled *bool `json:"enabled,omitempty"`
	// Allow private addresses.
	AllowPrivate bool `json:"allowPrivate,omitempty"`
	// Domains that are always allowed.
	AllowedDomains []string `json:"allowedDomains,omitempty"`
	// Domains that are never allowed.
	BlockedDomains []string `json:"blockedDomains,omitempty"`
}

// Delegation says which tasks are handed to whom.
type Delegation struct {
	// Delegate to Claude.
	ClaudeEnabled *bool `json:"claudeEnabled,omitempty"`
	// Claude's model.
	ClaudeModel string `json:"claudeModel,omitempty"`
	// Most turns of a task.
	MaxTurns *int `json:"maxTurns,omitempty"`
	// Most tokens of an answer.
	MaxTokens *int `json:"maxTokens,omitempty"`
	// Delegate to Claude Flow.
	ClaudeFlowEnabled bool `json:"claudeFlowEnabled,omitempty"`
	// Rules; the first that matches decides.
	Rules []DelegationRule `json:"rules,omitempty"`
	// Tools whose tasks are never delegated.
	ExcludedTools []string `json:"excludedTools,omitempty"`
}

// DelegationRule sends matching tasks to a target.
type DelegationRule struct {
	// Regular expression for the task's description. Required.
	Pattern string `json:"pattern"`
	// Target: local, claude, flow or auto. Required.
	Target string `json:"target"`
}

func (t Tools) check(r *report, at string) {
	r.optionalBetween(at+".web.search.maxResults", t.Web.Search.MaxResults, 1, 100, "")
	r.optionalBetween(at+".exec.timeout", t.Exec.Timeout, 1, 86400, " seconds")
	if t.CommandPolicy.Mode != "" {
		r.oneOf(at+".commandPolicy.mode", t.CommandPolicy.Mode, "allowlist", "denylist")
	}
	for _, name := range slices.Sorted(maps.Keys(t.MCPServers)) {
		server, path := t.MCPServers[name], at+".mcpServers."+name
		checkKept(r, path, name)
		switch {
		case (server.Command == "") == (server.URL == ""):
			r.wrong(path, "not exactly one of command and url", "command to start a server, or url of one that runs")
		case server.URL != "" && !urlPattern.MatchString(server.URL):
			r.wrong(path+".url", quote(server.URL), "a URL, such as https://mcp.example.org/mcp")
		}
	}
}

func (d *Delegation) check(r *report, at string) {
	if d == nil {
		return
	}
	r.optionalBetween(at+".maxTurns", d.MaxTurns, 1, 1000, "")
	r.optionalBetween(at+".maxTokens", d.MaxTokens, 1, 1<<20, " tokens")
	for i, rule := range d.Rules {
		path := elementPath(at+".rules", i)
		if _, err := regexp.Compile(rule.Pattern); err != nil || rule.Pattern == "" {
			r.wrong(path+".pattern", quoteOrNothing(rule.Pattern), "a regular expression, such as (?i)deploy")
		}
		r.oneOf(path+".target", rule.Target, "local", "claude", "flow", "auto")
	}
}
