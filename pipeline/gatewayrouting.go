package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// tiered is the routing mode that uses tiers.
const tiered = "tiered"

// Routing decides which model answers whom.
type Routing struct {
	// Mode: static (agents.defaults.model) or tiered.
	Mode string `json:"mode,omitempty"`
	// Model tiers, from cheap to expensive. Required when tiered.
	Tiers []ModelTier `json:"tiers,omitempty"`
	// How a model of a tier is chosen: preference_order, round_robin,
	// lowest_cost or random.
	SelectionStrategy string `json:"selectionStrategy,omitempty"`
	// Model for when tiers and budgets are exhausted, as provider/model.
	FallbackModel string `json:"fallbackModel,omitempty"`
	// Permissions, by level, user and channel.
	Permissions Permissions `json:"permissions,omitzero"`
	// When a request may use a higher tier.
	Escalation *Escalation `json:"escalation,omitempty"`
	// Spending limits of all users together.
	CostBudgets CostBudgets `json:"costBudgets,omitzero"`
	// Rate limits of all users together.
	RateLimiting RateLimiting `json:"rateLimiting,omitzero"`
}

// ModelTier is a group of models of similar cost.
type ModelTier struct {
	// Name of the tier. Required.
	Name string `json:"name"`
	// Models in order of preference, as provider/model. Required.
	Models []string `json:"models"`
	// Complexity that the tier covers: two numbers from 0 to 1.
	ComplexityRange []float64 `json:"complexityRange,omitempty"`
	// Cost of 1000 tokens, in US dollars.
	//
	// The gateway rewrites keys to snake_case and would make cost_per1k_tokens
	// of the camelCase name, which it does not know.
	CostPer1kTokens float64 `json:"cost_per_1k_tokens,omitempty" config:"costPer1kTokens"`
	// Context that every model of the tier has, in tokens.
	MaxContextTokens *int `json:"maxContextTokens,omitempty"`
}

// Permissions holds what users may do. A level, user or channel gives only what
// differs from the gateway's defaults.
type Permissions struct {
	// Level of users that nothing is known about.
	ZeroTrust PermissionLevel `json:"zeroTrust,omitzero"`
	// Level of users.
	User PermissionLevel `json:"user,omitzero"`
	// Level of administrators.
	Admin PermissionLevel `json:"admin,omitzero"`
	// Users, by the ID that the channel sends. IDs with capital letters, such as
	// Slack's, cannot be given: the gateway turns them into lower case.
	Users map[string]PermissionLevel `json:"users,omitempty"`
	// Channels, by name.
	Channels map[string]PermissionLevel `json:"channels,omitempty"`
}

// PermissionLevel is a set of permissions.
type PermissionLevel struct {
	// Level: 0 (zero trust), 1 (user) or 2 (admin).
	Level *int `json:"level,omitempty"`
	// Highest tier.
	MaxTier string `json:"maxTier,omitempty"`
	// Models that may be used; an empty list allows all of the tiers.
	ModelAccess []string `json:"modelAccess,omitzero"`
	// Models that may not.
	ModelDenylist []string `json:"modelDenylist,omitzero"`
	// Tools that may be used; `["*"]` allows all.
	ToolAccess []string `json:"toolAccess,omitzero"`
	// Tools that may not.
	ToolDenylist []string `json:"toolDenylist,omitzero"`
	// Most tokens of the context.
	MaxContextTokens *int `json:"maxContextTokens,omitempty"`
	// Most tokens of an answer.
	MaxOutputTokens *int `json:"maxOutputTokens,omitempty"`
	// Requests per minute; 0 is unlimited.
	RateLimit *int `json:"rateLimit,omitempty"`
	// Allow streamed answers.
	StreamingAllowed *bool `json:"streamingAllowed,omitempty"`
	// Allow higher tiers for complex requests.
	EscalationAllowed *bool `json:"escalationAllowed,omitempty"`
	// Complexity from which on, 0 to 1.
	EscalationThreshold *float64 `json:"escalationThreshold,omitempty"`
	// Allow the choice of a model.
	ModelOverride *bool `json:"modelOverride,omitempty"`
	// Budget per day, in US dollars; 0 is unlimited.
	CostBudgetDailyUSD *float64 `json:"costBudgetDailyUsd,omitempty"`
	// Budget per month, in US dollars; 0 is unlimited.
	CostBudgetMonthlyUSD *float64 `json:"costBudgetMonthlyUsd,omitempty"`
	// Permissions of extensions; passed on unchecked.
	CustomPermissions map[string]json.RawMessage `json:"customPermissions,omitempty"`
}

// Escalation lets complex requests use a higher tier.
type Escalation struct {
	// Whether they may.
	Enabled bool `json:"enabled,omitempty"`
	// Complexity from which on, 0 to 1.
	Threshold *float64 `json:"threshold,omitempty"`
	// Most tiers above the one of the user.
	MaxEscalationTiers *int `json:"maxEscalationTiers,omitempty"`
}

// CostBudgets are spending limits.
type CostBudgets struct {
	// Limit per day, in US dollars; 0 is unlimited.
	GlobalDailyLimitUSD float64 `json:"globalDailyLimitUsd,omitempty"`
	// Limit per month, in US dollars; 0 is unlimited.
	GlobalMonthlyLimitUSD float64 `json:"globalMonthlyLimitUsd,omitempty"`
	// Keep what was spent across restarts.
	TrackingPersistence bool `json:"trackingPersistence,omitempty"`
	// Hour of the day, in UTC, at which a new day begins.
	ResetHourUTC int `json:"resetHourUtc,omitempty"`
}

// RateLimiting is a rate limit.
type RateLimiting struct {
	// Length of the window, in seconds.
	WindowSeconds *int `json:"windowSeconds,omitempty"`
	// Strategy: sliding_window or fixed_window.
	Strategy string `json:"strategy,omitempty"`
	// Requests per minute; 0 is unlimited.
	GlobalRateLimitRPM int `json:"globalRateLimitRpm,omitempty"`
}

func (x *Routing) check(r *report, at string) {
	if x == nil {
		return
	}
	if x.Mode != "" {
		r.oneOf(at+".mode", x.Mode, "static", tiered)
	}
	if x.Mode == tiered && len(x.Tiers) == 0 {
		r.wrong(at+".tiers", nothing, "at least one tier, because the mode is tiered")
	}
	if x.SelectionStrategy != "" {
		r.oneOf(at+".selectionStrategy", x.SelectionStrategy, "preference_order", "round_robin", "lowest_cost", "random")
	}
	if x.FallbackModel != "" {
		checkModel(r, at+".fallbackModel", x.FallbackModel)
	}
	tiers := x.checkTiers(r, at+".tiers")
	x.Permissions.check(r, at+".permissions", tiers)
	if x.Escalation != nil {
		r.fraction(at+".escalation.threshold", x.Escalation.Threshold, 1)
		r.optionalBetween(at+".escalation.maxEscalationTiers", x.Escalation.MaxEscalationTiers, 0, 100, "")
	}
	r.notNegative(at+".costBudgets.globalDailyLimitUsd", &x.CostBudgets.GlobalDailyLimitUSD)
	r.notNegative(at+".costBudgets.globalMonthlyLimitUsd", &x.CostBudgets.GlobalMonthlyLimitUSD)
	r.between(at+".costBudgets.resetHourUtc", x.CostBudgets.ResetHourUTC, 0, 23, "")
	r.optionalBetween(at+".rateLimiting.windowSeconds", x.RateLimiting.WindowSeconds, 1, 86400, " seconds")
	r.between(at+".rateLimiting.globalRateLimitRpm", x.RateLimiting.GlobalRateLimitRPM, 0, 1<<30, "")
	if x.RateLimiting.Strategy != "" {
		r.oneOf(at+".rateLimiting.strategy", x.RateLimiting.Strategy, "sliding_window", "fixed_window")
	}
}

// checkTiers returns the names of the tiers.
func (x *Routing) checkTiers(r *report, at string) []string {
	var names []string
	for i, tier := range x.Tiers {
		path := elementPath(at, i)
		switch {
		case tier.Name == "":
			r.wrong(path+".name", nothing, "a name for the tier")
		case slices.Contains(names, tier.Name):
			r.wrong(path+".name", quote(tier.Name)+" a second time", "a name that no other tier has")
		default:
			names = append(names, tier.Name)
		}
		if len(tier.Models) == 0 {
			r.wrong(path+".models", nothing, "at least one model, as provider/model")
		}
		for j, model := range tier.Models {
			checkModel(r, elementPath(path+".models", j), model)
		}
		limits := tier.ComplexityRange
		if limits != nil && (len(limits) != 2 || limits[0] < 0 || limits[0] > limits[1] || limits[1] > 1) {
			r.wrong(path+".complexityRange", "a range that is not within 0 and 1", "two numbers from 0 to 1, the smaller one first")
		}
		r.notNegative(path+".costPer1kTokens", &tier.CostPer1kTokens)
		r.optionalBetween(path+".maxContextTokens", tier.MaxContextTokens, 1, 1<<30, " tokens")
	}
	return names
}

func checkModel(r *report, at, model string) {
	if !strings.Contains(model, "/") || !modelPattern.MatchString(model) {
		r.wrong(at, quote(model), "provider/model, such as anthropic/claude-sonnet-4-20250514")
	}
}

func (p Permissions) check(r *report, at string, tiers []string) {
	p.ZeroTrust.check(r, at+".zeroTrust", tiers)
	p.User.check(r, at+".user", tiers)
	p.Admin.check(r, at+".admin", tiers)
	for _, user := range slices.Sorted(maps.Keys(p.Users)) {
		checkKept(r, at+".users."+user, user)
		p.Users[user].check(r, at+".users."+user, tiers)
	}
	for _, channel := range slices.Sorted(maps.Keys(p.Channels)) {
		checkKept(r, at+".channels."+channel, channel)
		p.Channels[channel].check(r, at+".channels."+channel, tiers)
	}
}

func (l PermissionLevel) check(r *report, at string, tiers []string) {
	r.optionalBetween(at+".level", l.Level, 0, 2, "")
	if l.MaxTier != "" && !slices.Contains(tiers, l.MaxTier) {
		want := "the name of a tier, and there are none"
		if len(tiers) > 0 {
			want = "one of " + strings.Join(tiers, ", ")
		}
		r.wrong(at+".maxTier", quote(l.MaxTier), "%s", want)
	}
	r.optionalBetween(at+".maxContextTokens", l.MaxContextTokens, 1, 1<<30, " tokens")
	r.optionalBetween(at+".maxOutputTokens", l.MaxOutputTokens, 1, 1<<30, " tokens")
	r.optionalBetween(at+".rateLimit", l.RateLimit, 0, 1<<30, "")
	r.fraction(at+".escalationThreshold", l.EscalationThreshold, 1)
	r.notNegative(at+".costBudgetDailyUsd", l.CostBudgetDailyUSD)
	r.notNegative(at+".costBudgetMonthlyUsd", l.CostBudgetMonthlyUSD)
}
