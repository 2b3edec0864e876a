package deploy_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/host/deploy/simulation"
)

// names differ from run to run.
var names = regexp.MustCompile(`\b(c[0-9]+|0\.6\.[0-9]+-[0-9a-f]{12}|00[0-9]{2})\b`)

func anonymous(label string) string { return names.ReplaceAllString(label, "*") }

// ordered are the effects that must have happened before the next one does.
var ordered = regexp.MustCompile(`^(write|sync) .*\.new$|^rename /.*/(record|release)\.json$|^(restart|hold|create|start|pull|network)\b`)

// harmless are faults that nothing has to show, and why.
var harmless = map[simulation.Plant]map[string]string{
	simulation.Dropped: {
		"lock /run/clawft/images.lock":                "two places would be needed, and one gateway is admitted on a host",
		"stop unit":                                   "the unit's process sees for itself that nothing is to run",
		"sync /run/clawft":                            "nothing there outlasts a power cut",
		"unlink /run/clawft/gw/status.json":           "the unit's next process writes its own",
		"unlink /run/clawft/gw/clawft-gw.config.json": "the unit's next process writes its own",
		"unlock /run/clawft/gw/lock":                  "the lock is free when the process has ended",
		"unlock /run/clawft/images.lock":              "the lock is free when the process has ended",
	},
	simulation.Deferred: {},
}

// found plays until a fault that was planted in what effects do shows, and says how.
func found(t *testing.T, plant func(string) simulation.Plant) string {
	for _, s := range scenarios {
		o := simulation.Simulate(t, s.Scenario, simulation.Options{Seed: 1, Plant: plant, Brief: true})
		if o.Violation != "" {
			return s.Name + ": " + o.Violation
		}
		if o.Runs != s.runs {
			return s.Name + ": " + o.Runs + " runs"
		}
	}
	for _, s := range scenarios[:2] {
		effects := simulation.Simulate(t, s.Scenario, simulation.Options{Seed: 1, Brief: true}).Effects
		for _, kind := range []simulation.Kind{simulation.PowerCut, simulation.KillDeployer, simulation.DiskFull, simulation.FailsAfterwards} {
			for at := range effects {
				if !effects[at].Changes {
					continue
				}
				o := simulation.Simulate(t, s.Scenario, simulation.Options{Seed: 1, Plant: plant, Brief: true, Faults: []simulation.Fault{{At: at, Kind: kind}}})
				if o.Violation != "" {
					return s.Name + ", " + string(kind) + ": " + o.Violation
				}
			}
		}
	}
	return ""
}

func TestPlantedFaultsAreFound(t *testing.T) {
	if got := found(t, func(string) simulation.Plant { return simulation.As }); got != "" {
		t.Fatalf("nothing is planted, and %s", got)
	}
	labels := map[string]bool{}
	for _, s := range scenarios {
		for _, e := range simulation.Simulate(t, s.Scenario, simulation.Options{Seed: 1, Brief: true}).Effects {
			if e.Changes {
				labels[anonymous(e.Label)] = true
			}
		}
	}
	for _, plant := range []simulation.Plant{simulation.Dropped, simulation.Deferred} {
		for _, label := range slices.Sorted(maps.Keys(labels)) {
			if harmless[plant][label] != "" || plant == simulation.Deferred && !ordered.MatchString(label) {
				continue
			}
			got := found(t, func(l string) simulation.Plant {
				if anonymous(l) == label {
					return plant
				}
				return simulation.As
			})
			if got == "" {
				t.Errorf("%s: it is%s, and nothing shows", label, strings.ToLower(string(plant)))
			}
		}
	}
}
