package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// Channels holds the chat channels that the gateway can start.
type Channels struct {
	Telegram Telegram `json:"telegram"`
	Slack    Slack    `json:"slack"`
	Discord  Discord  `json:"discord"`
}

// Telegram and Discord hold one token each, Slack holds two.
type (
	Telegram struct {
		Enabled  bool   `json:"enabled"`
		Token    Inline `json:"token"`
		TokenEnv string `json:"token_env"`
	}
	Discord struct {
		Enabled  bool   `json:"enabled"`
		Token    Inline `json:"token"`
		TokenEnv string `json:"token_env"`
	}
	Slack struct {
		Enabled     bool   `json:"enabled"`
		BotToken    Inline `json:"bot_token"`
		BotTokenEnv string `json:"bot_token_env"`
		AppToken    Inline `json:"app_token"`
		AppTokenEnv string `json:"app_token_env"`
	}
)

// Inline is a secret written into the config. The real gateway hands a channel
// its config serialised, and a secret serialises to "": so an inline token makes
// the channel start, and is then missing.
type Inline string

var _ json.Marshaler = Inline("")

// MarshalJSON hides the secret.
func (Inline) MarshalJSON() ([]byte, error) { return []byte(`""`), nil }

// token is one credential of a channel.
type token struct {
	key    string // as in the config, "bot_token"
	inline Inline
	env    string // the name of the environment variable
}

// resolve fails where the real channel cannot be built.
func (t token) resolve(channel string) error {
	if t.env == "" {
		return fmt.Errorf("failed to init %s channel: missing '%s' (or '%s_env') in %s config", channel, t.key, t.key, channel)
	}
	if os.Getenv(t.env) == "" {
		return fmt.Errorf("failed to init %s channel: %s %s_env '%s' is not set or empty", channel, channel, t.key, t.env)
	}
	return nil
}

// start returns how many channels run. A channel that is enabled without any
// credential is passed over, which is what the real gateway does.
func (c Channels) start() (int, error) {
	channels := []struct {
		name    string
		enabled bool
		tokens  []token // the first decides whether the channel is started at all
	}{
		{"telegram", c.Telegram.Enabled, []token{{"token", c.Telegram.Token, c.Telegram.TokenEnv}}},
		{"slack", c.Slack.Enabled, []token{{"bot_token", c.Slack.BotToken, c.Slack.BotTokenEnv}, {"app_token", c.Slack.AppToken, c.Slack.AppTokenEnv}}},
		{"discord", c.Discord.Enabled, []token{{"token", c.Discord.Token, c.Discord.TokenEnv}}},
	}
	started := 0
	for _, channel := range channels {
		first := channel.tokens[0]
		if !channel.enabled || first.inline == "" && first.env == "" {
			continue
		}
		for _, token := range channel.tokens {
			if err := token.resolve(channel.name); err != nil {
				return started, err
			}
		}
		started++
	}
	return started, nil
}
