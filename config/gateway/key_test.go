package gateway

import "testing"

// The gateway rewrites every key to snake_case. A key of which it makes another
// one than it reads would be lost without a word.
func TestKey(t *testing.T) {
	for given, want := range map[string]string{
		"maxTokens": "max_tokens", "cost_per_1k_tokens": "cost_per_1k_tokens", "costPer1kTokens": "cost_per1k_tokens",
		"costBudgetDailyUsd": "cost_budget_daily_usd", "API_KEY": "api_key", "U04ABC": "u04abc", "gatewayUrl": "gateway_url",
		"already_snake": "already_snake", "HTMLParser": "html_parser",
	} {
		if got := Key(given); got != want {
			t.Errorf("%s: got %s, want %s", given, got, want)
		}
	}
}
