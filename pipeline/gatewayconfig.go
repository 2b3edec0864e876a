package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// GatewayConfig is the gateway's own configuration. What is not given is left
// to the gateway's defaults, so that they stay its own.
type GatewayConfig struct {
	// Model and limits of the agents.
	Agents Agents `json:"agents,omitzero"`
	// Chat channels.
	Channels Channels `json:"channels,omitzero"`
	// LLM providers, by name: custom, anthropic, openai, openrouter, deepseek,
	// groq, zhipu, dashscope, vllm, gemini, moonshot, minimax, aihubmix,
	// openaiCodex, xai, elevenlabs.
	Providers map[string]Provider `json:"providers,omitempty"`
	// Heartbeat and CORS.
	Gateway GatewayService `json:"gateway,omitzero"`
	// Tools of the agents.
	Tools Tools `json:"tools,omitzero"`
	// Which tasks are delegated, and to whom.
	Delegation *Delegation `json:"delegation,omitzero"`
	// Model tiers, permissions, budgets and rate limits.
	Routing *Routing `json:"routing,omitzero"`
	// Backends that score answers and learn from them.
	Pipeline PipelineStages `json:"pipeline,omitzero"`
	// Blocks of config.json that have no type here, such as voice and kernel.
	// They are passed on unchecked.
	Extra map[string]json.RawMessage `json:"-" config:"extra"`
}

// Agents configures the agents.
type Agents struct {
	// Settings of every agent.
	Defaults AgentDefaults `json:"defaults,omitzero"`
}

// AgentDefaults are the settings of every agent.
type AgentDefaults struct {
	// Working directory; below ~/.clawft, the only directory that is kept.
	Workspace string `json:"workspace" default:"~/.clawft/workspace"`
	// Model, as provider/model.
	Model string `json:"model,omitempty"`
	// Most tokens of one answer.
	MaxTokens *int `json:"maxTokens,omitempty"`
	// Sampling temperature, 0 to 2.
	Temperature *float64 `json:"temperature,omitempty"`
	// Most tool calls per turn.
	MaxToolIterations *int `json:"maxToolIterations,omitempty"`
	// Recent messages that the model is shown.
	MemoryWindow *int `json:"memoryWindow,omitempty"`
}

// Provider configures access to an LLM provider. Its API key comes from the
// environment.
type Provider struct {
	// Base URL, for a proxy or a compatible server.
	APIBase string `json:"apiBase,omitempty"`
	// Additional HTTP headers, by name.
	ExtraHeaders map[string]string `json:"extraHeaders,omitempty"`
	// Whether a browser may reach the provider directly.
	BrowserDirect bool `json:"browserDirect,omitempty"`
	// CORS proxy for browsers.
	CORSProxy string `json:"corsProxy,omitempty"`
}

func (Provider) refused() map[string]string {
	return map[string]string{
		"apiKey": "no key here, because config.json is not secret; the gateway reads it from the environment: set secrets.OPENAI_API_KEY, secrets.ANTHROPIC_API_KEY or the like",
	}
}

// GatewayService configures what the gateway does by itself.
type GatewayService struct {
	// Minutes between heartbeats; 0 switches them off.
	HeartbeatIntervalMinutes int `json:"heartbeatIntervalMinutes,omitempty"`
	// What the agent is told at a heartbeat.
	HeartbeatPrompt string `json:"heartbeatPrompt,omitempty"`
	// Origins whose pages may call the API.
	CORSOrigins []string `json:"corsOrigins,omitempty"`
}

func (GatewayService) refused() map[string]string {
	return map[string]string{
		"host":       "no host, because the pipeline sets it: 0.0.0.0 inside the container, which is published on 127.0.0.1 of its host only",
		"port":       "the key gateway.port of the stack; the gateway never binds its own gateway.port",
		"apiPort":    "the key gateway.port of the stack",
		"apiEnabled": "no apiEnabled, because the pipeline sets it: without the API nothing can check the gateway's health",
	}
}

// PipelineStages selects backends.
type PipelineStages struct {
	// Scorer: noop or fitness.
	Scorer string `json:"scorer,omitempty"`
	// Learner: noop or trajectory.
	Learner string `json:"learner,omitempty"`
}

// providerNames are the providers that the gateway knows, as in its
// configuration.
var providerNames = []string{
	"aihubmix", "anthropic", "custom", "dashscope", "deepseek", "elevenlabs", "gemini", "groq",
	"minimax", "moonshot", "openai", "openaiCodex", "openrouter", "vllm", "xai", "zhipu",
}

// dataDirectory is the gateway's data directory, the one that is kept on a
// host. The gateway expands ~/.
const dataDirectory = "~/.clawft"

var (
	modelPattern  = regexp.MustCompile(`^[^\s/]+(/\S+)?$`)
	originPattern = regexp.MustCompile(`^https?://[^/\s]+$`)
	urlPattern    = regexp.MustCompile(`^https?://\S+$`)
)

// JSON renders the gateway's config.json. The same configuration always gives
// the same text.
func (g Gateway) JSON() (json.RawMessage, error) {
	document := struct {
		GatewayConfig
		Gateway listener `json:"gateway"` // in place of the embedded one
	}{g.Config, listener{GatewayService: g.Config.Gateway, Host: "0.0.0.0", APIPort: g.Port, APIEnabled: true}}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("rendering config.json: %w", err)
	}
	if len(g.Config.Extra) == 0 {
		return text, nil
	}
	blocks := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &blocks); err != nil {
		return nil, fmt.Errorf("reading config.json back: %w", err)
	}
	maps.Copy(blocks, g.Config.Extra)
	text, err = json.Marshal(blocks)
	if err != nil {
		return nil, fmt.Errorf("rendering config.json: %w", err)
	}
	return text, nil
}

// listener is the gateway block of config.json.
type listener struct {
	GatewayService
	Host       string `json:"host"`
	APIPort    int    `json:"apiPort"`
	APIEnabled bool   `json:"apiEnabled"`
}

func (c *GatewayConfig) check(r *report, at string) {
	c.Agents.Defaults.check(r, at+".agents.defaults")
	c.Channels.check(r, at+".channels")
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		if !slices.Contains(providerNames, name) {
			r.wrong(at+".providers."+name, "an unknown key", "%s", suggest(nearest(name, providerNames), providerNames))
			continue
		}
		c.Providers[name].check(r, at+".providers."+name)
	}
	c.Gateway.check(r, at+".gateway")
	c.Tools.check(r, at+".tools")
	c.Delegation.check(r, at+".delegation")
	c.Routing.check(r, at+".routing")
	if c.Pipeline.Scorer != "" {
		r.oneOf(at+".pipeline.scorer", c.Pipeline.Scorer, "noop", "fitness")
	}
	if c.Pipeline.Learner != "" {
		r.oneOf(at+".pipeline.learner", c.Pipeline.Learner, "noop", "trajectory")
	}
	typed := configFields(reflect.TypeFor[GatewayConfig]())
	for _, key := range slices.Sorted(maps.Keys(c.Extra)) {
		if _, found := typed[key]; found {
			r.wrong(at+".extra."+key, "a block that is checked", "%s.%s", at, key)
		}
	}
}

func (d AgentDefaults) check(r *report, at string) {
	cleaned := path.Clean(d.Workspace)
	if !strings.HasPrefix(cleaned, dataDirectory+"/") || strings.Contains(d.Workspace, "..") {
		r.wrong(at+".workspace", quote(d.Workspace), "a directory below %s, because only that is kept across releases, such as %s/workspace", dataDirectory, dataDirectory)
	}
	if d.Model != "" && !modelPattern.MatchString(d.Model) {
		r.wrong(at+".model", quote(d.Model), "provider/model, such as anthropic/claude-sonnet-4-20250514")
	}
	r.optionalBetween(at+".maxTokens", d.MaxTokens, 1, 1<<20, " tokens")
	r.optionalBetween(at+".maxToolIterations", d.MaxToolIterations, 1, 1000, "")
	r.optionalBetween(at+".memoryWindow", d.MemoryWindow, 1, 10000, " messages")
	r.fraction(at+".temperature", d.Temperature, 2)
}

func (p Provider) check(r *report, at string) {
	if p.APIBase != "" && !urlPattern.MatchString(p.APIBase) {
		r.wrong(at+".apiBase", quote(p.APIBase), "a URL, such as https://openrouter.ai/api/v1")
	}
	if p.CORSProxy != "" && !urlPattern.MatchString(p.CORSProxy) {
		r.wrong(at+".corsProxy", quote(p.CORSProxy), "a URL, such as https://proxy.example.org")
	}
	for _, name := range slices.Sorted(maps.Keys(p.ExtraHeaders)) {
		header := at + ".extraHeaders." + name
		switch {
		case strings.EqualFold(name, "authorization") || secretLike.MatchString(strings.ReplaceAll(name, "-", "_")):
			r.wrong(header, "what looks like a secret", "no secret here, because config.json is not secret")
		case gatewayKey(name) != strings.ToLower(name):
			r.wrong(header, "a name that the gateway rewrites to "+quote(gatewayKey(name)), "%s", strings.ToLower(name))
		}
	}
}

func (s GatewayService) check(r *report, at string) {
	r.between(at+".heartbeatIntervalMinutes", s.HeartbeatIntervalMinutes, 0, 7*24*60, " minutes")
	if r.given[at+".corsOrigins"] && len(s.CORSOrigins) == 0 {
		r.wrong(at+".corsOrigins", "an empty list", "at least one origin, or no key: to the gateway an empty list means every origin")
	}
	for i, origin := range s.CORSOrigins {
		if !originPattern.MatchString(origin) {
			r.wrong(elementPath(at+".corsOrigins", i), quote(origin), "an origin without a path, such as https://chat.example.org")
		}
	}
}

// checkVariables demands a secret for every environment variable that the
// configuration names, and the API key of every provider whose models it names.
func (c *GatewayConfig) checkVariables(r *report, at, secretsPath string, secrets map[string]string) {
	var mentioned []string
	for _, variable := range c.Channels.variables() {
		mentioned = append(mentioned, variable.name)
		checkVariable(r, at+".channels."+variable.path, variable.name, secretsPath, secrets)
	}
	for _, model := range c.models() {
		provider, _, _ := strings.Cut(model.name, "/")
		key, needed := providerKeys[provider]
		if _, given := secrets[key]; needed && !given {
			r.wrong(at+"."+model.path, quote(model.name)+" without an API key", "the secret %s: %s", key, r.setSecretCommand(secretsPath+"."+key))
		}
	}
	checkMisspelt(r, secretsPath, secrets, mentioned)
}

// mention is a name and where in the gateway's configuration it stands.
type mention struct{ path, name string }

func checkVariable(r *report, at, name, secretsPath string, secrets map[string]string) {
	if name == "" {
		return
	}
	if !variableName.MatchString(name) {
		// It may be the token itself.
		r.wrong(at, "something that is not the name of an environment variable", "%s; its value belongs in %s", variableRule, secretsPath)
		return
	}
	if _, given := secrets[name]; !given {
		r.wrong(at, name+", which is not among the secrets", "a secret of that name: %s", r.setSecretCommand(secretsPath+"."+name))
	}
}

// models are the models that the configuration names.
func (c *GatewayConfig) models() []mention {
	var models []mention
	if model := c.Agents.Defaults.Model; model != "" {
		models = append(models, mention{"agents.defaults.model", model})
	}
	if c.Routing == nil || c.Routing.Mode != tiered {
		return models
	}
	for i, tier := range c.Routing.Tiers {
		for j, model := range tier.Models {
			models = append(models, mention{fmt.Sprintf("routing.tiers[%d].models[%d]", i, j), model})
		}
	}
	if c.Routing.FallbackModel != "" {
		models = append(models, mention{"routing.fallbackModel", c.Routing.FallbackModel})
	}
	return models
}

// warnings are about what the gateway accepts but does not do.
func (c *GatewayConfig) warnings(at string) []string {
	var warnings []string
	if len(c.Channels.Telegram.AllowFrom) > 0 {
		warnings = append(warnings, at+".channels.telegram.allowFrom: gateway 0.6.19 reads this list but does not apply it, so that anybody can talk to the bot; limit users by routing.permissions")
	}
	return warnings
}

// gatewayKey is what the gateway makes of a key when it reads config.json: it
// turns every key into snake_case, also where the key is a name and not part of
// the format.
func gatewayKey(key string) string {
	var rewritten strings.Builder
	letters := []rune(key)
	for i, letter := range letters {
		if i > 0 && unicode.IsUpper(letter) {
			previous := letters[i-1]
			endOfAcronym := i+1 < len(letters) && unicode.IsUpper(previous) && unicode.IsLower(letters[i+1])
			if unicode.IsLower(previous) || endOfAcronym {
				rewritten.WriteByte('_')
			}
		}
		rewritten.WriteRune(unicode.ToLower(letter))
	}
	return rewritten.String()
}

// checkKept demands a name that the gateway does not rewrite.
func checkKept(r *report, at, name string) {
	if rewritten := gatewayKey(name); rewritten != name {
		r.wrong(at, "a name that the gateway rewrites to "+quote(rewritten), "a name in lower case")
	}
}
