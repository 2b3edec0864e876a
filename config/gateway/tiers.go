package gateway

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/clawft/infra/internal/quote"
)

// checkTiers checks what a schema cannot say: that tiers have names of their
// own, that ranges are in order, and that permissions name tiers that exist.
func (d *Document) checkTiers() {
	routing := object(d.checked["routing"])
	if routing["mode"] != "tiered" {
		// Nobody is asked for the keys of models that are not used.
		d.Models = slices.DeleteFunc(d.Models, func(m Mention) bool { return strings.HasPrefix(m.Path, "routing.") })
	}
	tiers, _ := routing["tiers"].([]any)
	var names []string
	for i, tier := range tiers {
		here := []string{"routing", "tiers", strconv.Itoa(i)}
		if name, _ := object(tier)["name"].(string); slices.Contains(names, name) {
			d.problem(d.path(append(here, "name")...), quote.Value(name)+" a second time", "a name that no other tier has")
		} else if name != "" {
			names = append(names, name)
		}
		if limits, _ := object(tier)["complexityRange"].([]any); len(limits) == 2 && number(limits[0]) > number(limits[1]) {
			d.problem(d.path(append(here, "complexityRange")...), "a range that ends before it begins", "two numbers from 0 to 1, the smaller one first")
		}
	}
	permissions := object(routing["permissions"])
	for _, group := range slices.Sorted(maps.Keys(permissions)) {
		here := []string{"routing", "permissions", group}
		if group != "users" && group != "channels" {
			d.checkMaxTier(here, permissions[group], names)
			continue
		}
		levels := object(permissions[group])
		for _, name := range slices.Sorted(maps.Keys(levels)) {
			d.checkMaxTier(append(slices.Clone(here), name), levels[name], names)
		}
	}
}

func (d *Document) checkMaxTier(here []string, level any, tiers []string) {
	tier, _ := object(level)["maxTier"].(string)
	if tier == "" || slices.Contains(tiers, tier) {
		return
	}
	want := "the name of a tier, and there are none"
	if len(tiers) > 0 {
		want = "one of " + strings.Join(tiers, ", ")
	}
	d.problem(d.path(append(here, "maxTier")...), quote.Value(tier), want)
}

func object(value any) map[string]any {
	found, _ := value.(map[string]any)
	return found
}

func number(value any) float64 {
	text, _ := value.(json.Number)
	found, _ := text.Float64()
	return found
}
