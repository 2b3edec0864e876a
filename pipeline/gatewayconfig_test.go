package pipeline

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write golden files and docs/config.md anew")

func TestMinimalConfigJSON(t *testing.T) {
	cfg, err := with(nil).load(t, "dev")
	if err != nil {
		t.Fatal(err)
	}
	got, err := cfg.Gateway.JSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"agents":{"defaults":{"workspace":"~/.clawft/workspace"}},"gateway":{"apiEnabled":true,"apiPort":8080,"host":"0.0.0.0"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestConfigJSONWithEverything(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join(root, "pipeline", "testdata", "everything.json")
	cfg, err := stackFile(text).load(t, "dev")
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := cfg.Gateway.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := cfg.Gateway.JSON(); !bytes.Equal(rendered, again) {
		t.Error("a second rendering differs")
	}
	if bytes.Contains(rendered, []byte("canary")) {
		t.Error("config.json contains a secret")
	}
	var got bytes.Buffer
	if err := json.Indent(&got, rendered, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	checkGolden(t, golden, got.String())
}

func checkGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is out of date; write it anew with: go test ./pipeline -update\ngot:\n%s", path, got)
	}
}

func gatewayWith(config string) map[string]string {
	return map[string]string{"gateway": "{config: {" + config + "}}"}
}

func TestWrongGatewayConfigs(t *testing.T) {
	const at = "clawft:gateway.config."
	cases := []wrongConfig{
		{"limits", map[string]string{"gateway": "{port: 99999, memoryMiB: 8, pids: 1, healthTimeout: 1, watch: 0, drain: 61, logLevel: 'info; debug'}"}, []string{
			"clawft:gateway.drain: got 61; want 0 to 60 seconds",
			"clawft:gateway.healthTimeout: got 1; want 5 to 180 seconds",
			`clawft:gateway.logLevel: got "info; debug"; want a RUST_LOG directive, such as info or warn,clawft_channels=debug`,
			"clawft:gateway.memoryMiB: got 8; want 64 to 1048576 MiB",
			"clawft:gateway.pids: got 1; want 16 to 32768",
			"clawft:gateway.port: got 99999; want 1024 to 65535, because the gateway does not run as root",
			"clawft:gateway.watch: got 0; want 1 to 600 seconds",
		}},
		{"what the pipeline sets", gatewayWith("gateway: {port: 18790, apiPort: 8080, api_enabled: true}"), []string{
			at + "gateway.apiPort: got a value; want the key gateway.port of the stack",
			at + "gateway.api_enabled: got a value; want no apiEnabled, because the pipeline sets it: without the API nothing can check the gateway's health",
			at + "gateway.port: got a value; want the key gateway.port of the stack; the gateway never binds its own gateway.port",
		}},
		{"workspace elsewhere", gatewayWith("agents: {defaults: {workspace: ~/.nanobot/workspace}}"), []string{
			at + `agents.defaults.workspace: got "~/.nanobot/workspace"; want a directory below ~/.clawft, because only that is kept across releases, such as ~/.clawft/workspace`,
		}},
		{"workspace that climbs out", gatewayWith("agents: {defaults: {workspace: ~/.clawft/../x}}"), []string{
			at + `agents.defaults.workspace: got "~/.clawft/../x"; want a directory below ~/.clawft, because only that is kept across releases, such as ~/.clawft/workspace`,
		}},
		{"agents", gatewayWith("agents: {defaults: {maxTokens: 0, temperature: 2.5, maxToolIterations: 0, memoryWindow: -1, model: a b}}"), []string{
			at + "agents.defaults.maxTokens: got 0; want 1 to 1048576",
			at + "agents.defaults.maxToolIterations: got 0; want 1 to 1000",
			at + "agents.defaults.memoryWindow: got -1; want 1 to 10000",
			at + `agents.defaults.model: got "a b"; want provider/model, such as anthropic/claude-sonnet-4-20250514`,
			at + "agents.defaults.temperature: got 2.5; want 0 to 2",
		}},
		{"model without its key", gatewayWith("agents: {defaults: {model: anthropic/claude}}"), []string{
			at + `agents.defaults.model: got "anthropic/claude" without an API key; want the secret ANTHROPIC_API_KEY: pulumi config set --stack dev --secret --path 'clawft:secrets.ANTHROPIC_API_KEY'`,
		}},
		{"inline tokens", gatewayWith("channels: {telegram: {token: x}, slack: {botToken: x, appToken: x}, discord: {token: x}}"), []string{
			at + "channels.discord.token: got a value; want the name of an environment variable in its place (tokenEnv, botTokenEnv, appTokenEnv), and the token itself in secrets; a token given here aborts the gateway's start",
			at + "channels.slack.appToken: got a value; want the name of an environment variable in its place (tokenEnv, botTokenEnv, appTokenEnv), and the token itself in secrets; a token given here aborts the gateway's start",
			at + "channels.slack.botToken: got a value; want the name of an environment variable in its place (tokenEnv, botTokenEnv, appTokenEnv), and the token itself in secrets; a token given here aborts the gateway's start",
			at + "channels.telegram.token: got a value; want the name of an environment variable in its place (tokenEnv, botTokenEnv, appTokenEnv), and the token itself in secrets; a token given here aborts the gateway's start",
		}},
		{"enabled without tokens", gatewayWith("channels: {telegram: {enabled: true}, slack: {enabled: true}, discord: {enabled: true}}"), []string{
			at + "channels.discord.tokenEnv: got nothing; want the name of the environment variable that holds the token, because the channel is enabled",
			at + "channels.slack.appTokenEnv: got nothing; want the name of the environment variable that holds the token, because the channel is enabled",
			at + "channels.slack.botTokenEnv: got nothing; want the name of the environment variable that holds the token, because the channel is enabled",
			at + "channels.telegram.tokenEnv: got nothing; want the name of the environment variable that holds the token, because the channel is enabled",
		}},
		{"token that is not a secret of the stack", gatewayWith("channels: {telegram: {enabled: true, tokenEnv: TELEGRAM_BOT_TOKEN}}"), []string{
			at + "channels.telegram.tokenEnv: got TELEGRAM_BOT_TOKEN, which is not among the secrets; want a secret of that name: pulumi config set --stack dev --secret --path 'clawft:secrets.TELEGRAM_BOT_TOKEN'",
		}},
		{"token in place of its name", gatewayWith("channels: {discord: {tokenEnv: MTk4.canary}}"), []string{
			at + "channels.discord.tokenEnv: got something that is not the name of an environment variable; want the name of an environment variable: capital letters, digits and _, not starting with a digit; its value belongs in clawft:secrets",
		}},
		{"slack", gatewayWith("channels: {slack: {mode: webhook, groupPolicy: allowlist, dm: {policy: allowlist}}, discord: {intents: -1}}"), []string{
			at + "channels.discord.intents: got -1; want 0 to 4294967295",
			at + "channels.slack.dm.allowFrom: got nothing; want at least one user: to the gateway an empty list means everybody",
			at + "channels.slack.groupAllowFrom: got nothing; want at least one sender: to the gateway an empty list means everybody",
			at + `channels.slack.mode: got "webhook"; want socket`,
		}},
		{"providers", gatewayWith("providers: {openai: {apiKey: x, apiBase: openai.com, corsProxy: x, extraHeaders: {appCode: x, Authorization: x}}}"), []string{
			at + `providers.openai.apiBase: got "openai.com"; want a URL, such as https://openrouter.ai/api/v1`,
			at + "providers.openai.apiKey: got a value; want no key here, because config.json is not secret; the gateway reads it from the environment: set secrets.OPENAI_API_KEY, secrets.ANTHROPIC_API_KEY or the like",
			at + `providers.openai.corsProxy: got "x"; want a URL, such as https://proxy.example.org`,
			at + "providers.openai.extraHeaders.Authorization: got what looks like a secret; want no secret here, because config.json is not secret",
			at + `providers.openai.extraHeaders.appCode: got a name that the gateway rewrites to "app_code"; want appcode`,
		}},
		{"heartbeat and CORS", gatewayWith("gateway: {heartbeatIntervalMinutes: -5, corsOrigins: ['*']}"), []string{
			at + `gateway.corsOrigins[0]: got "*"; want an origin without a path, such as https://chat.example.org`,
			at + "gateway.heartbeatIntervalMinutes: got -5; want 0 to 10080",
		}},
		{"no origin", gatewayWith("gateway: {corsOrigins: []}"), []string{
			at + "gateway.corsOrigins: got an empty list; want at least one origin, or no key: to the gateway an empty list means every origin",
		}},
		{"tools", gatewayWith("tools: {web: {search: {apiKey: x, maxResults: 0}}, exec: {timeout: 0}, commandPolicy: {mode: none}, mcpServers: {gitHub: {command: x}, a: {}, b: {command: x, url: 'https://x'}, c: {url: y}, d: {command: x, env: {TOKEN: x}}}}"), []string{
			at + `tools.commandPolicy.mode: got "none"; want one of allowlist, denylist`,
			at + "tools.exec.timeout: got 0; want 1 to 86400",
			at + "tools.mcpServers.a: got not exactly one of command and url; want command to start a server, or url of one that runs",
			at + "tools.mcpServers.b: got not exactly one of command and url; want command to start a server, or url of one that runs",
			at + `tools.mcpServers.c.url: got "y"; want a URL, such as https://mcp.example.org/mcp`,
			at + "tools.mcpServers.d.env: got a value; want no env: the gateway turns API_KEY into api_key when it reads it; put the variable in secrets, the command inherits it",
			at + `tools.mcpServers.gitHub: got a name that the gateway rewrites to "git_hub"; want a name in lower case`,
			at + "tools.web.search.apiKey: got a value; want no key here, because config.json is not secret; the gateway reads it from the environment: set secrets.BRAVE_SEARCH_API_KEY",
			at + "tools.web.search.maxResults: got 0; want 1 to 100",
		}},
		{"delegation", gatewayWith("delegation: {maxTurns: 0, maxTokens: 0, rules: [{pattern: '(', target: Claude}, {target: auto}, {pattern: '', target: auto}]}"), []string{
			at + "delegation.maxTokens: got 0; want 1 to 1048576",
			at + "delegation.maxTurns: got 0; want 1 to 1000",
			at + `delegation.rules[0].pattern: got "("; want a regular expression, such as (?i)deploy`,
			at + `delegation.rules[0].target: got "Claude"; want one of local, claude, flow, auto`,
			at + "delegation.rules[1].pattern: got nothing; want a regular expression, such as (?i)deploy",
			at + "delegation.rules[2].pattern: got nothing; want a regular expression, such as (?i)deploy",
		}},
		{"routing without tiers", gatewayWith("routing: {mode: tiered, selectionStrategy: best, fallbackModel: x, permissions: {user: {maxTier: free}}}"), []string{
			at + `routing.fallbackModel: got "x"; want provider/model, such as anthropic/claude-sonnet-4-20250514`,
			at + `routing.permissions.user.maxTier: got "free"; want the name of a tier, and there are none`,
			at + `routing.selectionStrategy: got "best"; want one of preference_order, round_robin, lowest_cost, random`,
			at + "routing.tiers: got nothing; want at least one tier, because the mode is tiered",
		}},
		{"tiers", gatewayWith("routing: {tiers: [{name: a, models: [x], complexityRange: [0.5, 0.1], cost_per_1k_tokens: -1, costPer1kTokens: 1, maxContextTokens: 0}, {name: a}, {}], permissions: {admin: {maxTier: b}}}"), []string{
			at + `routing.permissions.admin.maxTier: got "b"; want one of a`,
			at + "routing.tiers[0].complexityRange: got a range that ends before it begins; want two numbers from 0 to 1, the smaller one first",
			at + "routing.tiers[0].costPer1kTokens: got a value; want cost_per_1k_tokens: the gateway makes cost_per1k_tokens of this name, which it does not know",
			at + "routing.tiers[0].cost_per_1k_tokens: got -1; want 0 or more",
			at + "routing.tiers[0].maxContextTokens: got 0; want 1 to 1073741824",
			at + `routing.tiers[0].models[0]: got "x"; want provider/model, such as anthropic/claude-sonnet-4-20250514`,
			at + "routing.tiers[1].models: got nothing; want at least one model, as provider/model",
			at + `routing.tiers[1].name: got "a" a second time; want a name that no other tier has`,
			at + "routing.tiers[2].models: got nothing; want at least one model, as provider/model",
			at + "routing.tiers[2].name: got nothing; want a name for the tier",
		}},
		{"model of a tier without its key", gatewayWith("routing: {mode: tiered, tiers: [{name: a, models: [xai/grok, local/llama]}], fallbackModel: groq/llama}"), []string{
			at + `routing.fallbackModel: got "groq/llama" without an API key; want the secret GROQ_API_KEY: pulumi config set --stack dev --secret --path 'clawft:secrets.GROQ_API_KEY'`,
			at + `routing.tiers[0].models[0]: got "xai/grok" without an API key; want the secret XAI_API_KEY: pulumi config set --stack dev --secret --path 'clawft:secrets.XAI_API_KEY'`,
		}},
		{"permissions", gatewayWith("routing: {permissions: {zeroTrust: {level: 3, rateLimit: -1, escalationThreshold: 2, costBudgetDailyUsd: -1}, users: {U04ABC: {}}, channels: {webChat: {}}}}"), []string{
			at + `routing.permissions.channels.webChat: got a name that the gateway rewrites to "web_chat"; want a name in lower case`,
			at + `routing.permissions.users.U04ABC: got a name that the gateway rewrites to "u04abc"; want a name in lower case`,
			at + "routing.permissions.zeroTrust.costBudgetDailyUsd: got -1; want 0 or more",
			at + "routing.permissions.zeroTrust.escalationThreshold: got 2; want 0 to 1",
			at + "routing.permissions.zeroTrust.level: got 3; want 0 to 2",
			at + "routing.permissions.zeroTrust.rateLimit: got -1; want 0 to 1073741824",
		}},
		{"budgets", gatewayWith("routing: {mode: smart, escalation: {threshold: 2, maxEscalationTiers: -1}, costBudgets: {globalDailyLimitUsd: -1, globalMonthlyLimitUsd: -1, resetHourUtc: 24}, rateLimiting: {windowSeconds: 0, strategy: leaky, globalRateLimitRpm: -1}}"), []string{
			at + "routing.costBudgets.globalDailyLimitUsd: got -1; want 0 or more",
			at + "routing.costBudgets.globalMonthlyLimitUsd: got -1; want 0 or more",
			at + "routing.costBudgets.resetHourUtc: got 24; want 0 to 23",
			at + "routing.escalation.maxEscalationTiers: got -1; want 0 to 100",
			at + "routing.escalation.threshold: got 2; want 0 to 1",
			at + `routing.mode: got "smart"; want one of static, tiered`,
			at + "routing.rateLimiting.globalRateLimitRpm: got -1; want 0 to 1073741824",
			at + `routing.rateLimiting.strategy: got "leaky"; want one of sliding_window, fixed_window`,
			at + "routing.rateLimiting.windowSeconds: got 0; want 1 to 86400",
		}},
		{"pipeline", gatewayWith("pipeline: {scorer: good, learner: fast}"), []string{
			at + `pipeline.learner: got "fast"; want one of noop, trajectory`,
			at + `pipeline.scorer: got "good"; want one of noop, fitness`,
		}},
		{"one key in two spellings", gatewayWith("agents: {defaults: {maxTokens: 1, max_tokens: 2}}"), []string{
			at + "agents.defaults.max_tokens: got a key that is given twice; want one of its two spellings: the gateway reads both as max_tokens",
		}},
	}
	testWrong(t, cases)
}
