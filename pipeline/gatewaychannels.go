package pipeline

// Channels configures the chat channels. Tokens are given by the name of an
// environment variable that stands in `secrets`.
type Channels struct {
	// Telegram bot.
	Telegram Telegram `json:"telegram,omitzero"`
	// Slack app in socket mode.
	Slack Slack `json:"slack,omitzero"`
	// Discord bot.
	Discord Discord `json:"discord,omitzero"`
}

func (Channels) refused() map[string]string {
	const never = "no such block: the gateway reads it but starts telegram, slack and discord only"
	return map[string]string{
		"whatsapp": never, "feishu": never, "dingtalk": never, "mochat": never, "email": never, "qq": never,
	}
}

// tokenByName is why an inline token is refused.
const tokenByName = "the name of an environment variable in "

// Telegram configures a Telegram bot.
type Telegram struct {
	// Whether the channel is started.
	Enabled bool `json:"enabled,omitempty"`
	// Environment variable that holds the bot's token. Required when enabled.
	TokenEnv string `json:"tokenEnv,omitempty"`
	// Users who may talk to the bot. Gateway 0.6.19 does not apply this list.
	AllowFrom []string `json:"allowFrom,omitempty"`
	// HTTP or SOCKS5 proxy.
	Proxy string `json:"proxy,omitempty"`
}

func (Telegram) refused() map[string]string {
	return map[string]string{"token": tokenByName + "tokenEnv, and the token itself in secrets; a token given here aborts the gateway's start"}
}

// Slack configures a Slack app.
type Slack struct {
	// Whether the channel is started.
	Enabled bool `json:"enabled,omitempty"`
	// Mode: socket, the only one that exists.
	Mode string `json:"mode,omitempty"`
	// Path for event subscriptions.
	WebhookPath string `json:"webhookPath,omitempty"`
	// Environment variable that holds the bot token (xoxb-…). Required when
	// enabled.
	BotTokenEnv string `json:"botTokenEnv,omitempty"`
	// Environment variable that holds the app token (xapp-…). Required when
	// enabled.
	AppTokenEnv string `json:"appTokenEnv,omitempty"`
	// Whether the user token only reads.
	UserTokenReadOnly *bool `json:"userTokenReadOnly,omitempty"`
	// Who may talk to the bot in channels: mention, open or allowlist.
	GroupPolicy string `json:"groupPolicy,omitempty"`
	// Senders for the allowlist.
	GroupAllowFrom []string `json:"groupAllowFrom,omitempty"`
	// Direct messages.
	DM *SlackDM `json:"dm,omitempty"`
}

func (Slack) refused() map[string]string {
	return map[string]string{
		"botToken": tokenByName + "botTokenEnv, and the token itself in secrets; a token given here aborts the gateway's start",
		"appToken": tokenByName + "appTokenEnv, and the token itself in secrets; a token given here aborts the gateway's start",
	}
}

// SlackDM configures direct messages.
type SlackDM struct {
	// Whether direct messages are answered.
	Enabled *bool `json:"enabled,omitempty"`
	// Who may write: open or allowlist.
	Policy string `json:"policy,omitempty"`
	// Users for the allowlist.
	AllowFrom []string `json:"allowFrom,omitempty"`
}

// Discord configures a Discord bot.
type Discord struct {
	// Whether the channel is started.
	Enabled bool `json:"enabled,omitempty"`
	// Environment variable that holds the bot's token. Required when enabled.
	TokenEnv string `json:"tokenEnv,omitempty"`
	// Users who may talk to the bot; empty allows everybody.
	AllowFrom []string `json:"allowFrom,omitempty"`
	// URL of Discord's gateway.
	GatewayURL string `json:"gatewayUrl,omitempty"`
	// Bit mask of Discord's intents.
	Intents *int `json:"intents,omitempty"`
}

func (Discord) refused() map[string]string {
	return map[string]string{"token": tokenByName + "tokenEnv, and the token itself in secrets; a token given here aborts the gateway's start"}
}

func (c Channels) check(r *report, at string) {
	requireToken(r, at+".telegram", c.Telegram.Enabled, map[string]string{"tokenEnv": c.Telegram.TokenEnv})
	requireToken(r, at+".slack", c.Slack.Enabled, map[string]string{"botTokenEnv": c.Slack.BotTokenEnv, "appTokenEnv": c.Slack.AppTokenEnv})
	requireToken(r, at+".discord", c.Discord.Enabled, map[string]string{"tokenEnv": c.Discord.TokenEnv})
	c.Slack.check(r, at+".slack")
	r.optionalBetween(at+".discord.intents", c.Discord.Intents, 0, 1<<32-1, "")
}

// requireToken reports a channel that the gateway would silently not start.
func requireToken(r *report, at string, enabled bool, tokens map[string]string) {
	if !enabled {
		return
	}
	for key, name := range tokens {
		if name == "" {
			r.wrong(at+"."+key, nothing, "the name of the environment variable that holds the token, because the channel is enabled")
		}
	}
}

func (s Slack) check(r *report, at string) {
	if s.Mode != "" {
		r.oneOf(at+".mode", s.Mode, "socket")
	}
	if s.GroupPolicy != "" {
		r.oneOf(at+".groupPolicy", s.GroupPolicy, "mention", "open", "allowlist")
	}
	if s.GroupPolicy == "allowlist" && len(s.GroupAllowFrom) == 0 {
		r.wrong(at+".groupAllowFrom", nothing, "at least one sender: to the gateway an empty list means everybody")
	}
	if s.DM == nil {
		return
	}
	if s.DM.Policy != "" {
		r.oneOf(at+".dm.policy", s.DM.Policy, "open", "allowlist")
	}
	if s.DM.Policy == "allowlist" && len(s.DM.AllowFrom) == 0 {
		r.wrong(at+".dm.allowFrom", nothing, "at least one user: to the gateway an empty list means everybody")
	}
}

// variables are the environment variables that hold the channels' tokens.
func (c Channels) variables() []mention {
	return []mention{
		{"telegram.tokenEnv", c.Telegram.TokenEnv},
		{"slack.botTokenEnv", c.Slack.BotTokenEnv},
		{"slack.appTokenEnv", c.Slack.AppTokenEnv},
		{"discord.tokenEnv", c.Discord.TokenEnv},
	}
}
