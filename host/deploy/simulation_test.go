package deploy_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/host/deploy/simulation"
	"github.com/clawft/infra/host/release"
)

var (
	seed      = flag.Uint64("seed", 0, "the one schedule that TestSchedules plays; 0 plays many")
	schedules = flag.Uint64("schedules", 2000, "how many schedules TestSchedules plays")
)

var (
	one   = simulation.Release("one", 1)
	two   = simulation.Release("two", 2)
	three = simulation.Release("three", 3)
)

// scenarios are what a machine goes through. Want is how the act's last deployment ends when
// nothing goes wrong, and what runs then.
var scenarios = []struct {
	simulation.Scenario
	result release.Result
	cause  string
	back   string
	runs   string
	// alike goes the way of another one: only random schedules play it with faults.
	alike bool
}{
	{
		Scenario: simulation.Scenario{
			Name: "first deployment",
			Act:  func(s *simulation.Script) { s.Second(three); s.Deploy(one) },
		},
		result: release.Deployed, runs: "one",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "update",
			Before: func(s *simulation.Script) { s.Second(three); s.Deploy(one) },
			Act:    func(s *simulation.Script) { s.Deploy(two) },
		},
		result: release.Deployed, runs: "two",
	},
	{
		Scenario: simulation.Scenario{
			Name: "first deployment that fails",
			Act: func(s *simulation.Script) {
				s.Image(one, simulation.Behaviour{Version: one.Version, Starts: time.Second, Ends: 2 * time.Second, Code: 3, OnData: true})
				s.Deploy(one)
			},
		},
		result: release.Failed, runs: "",
		cause: "while watched: the gateway exited with code 3: panic: out of luck", back: "nothing ran before, nothing runs now",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "update that crashes at once",
			Before: func(s *simulation.Script) { s.Second(three); s.Deploy(one) },
			Act: func(s *simulation.Script) {
				s.Image(two, simulation.Behaviour{Version: two.Version, Starts: time.Second, Ends: 300 * time.Millisecond, Code: 1, OnData: true})
				s.Deploy(two)
			},
		},
		alike: true, result: release.Failed, runs: "one",
		cause: "after the swap: the gateway exited with code 1: panic: out of luck", back: "rolled back: release 0.6.1 is healthy",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "update that crashes later",
			Before: func(s *simulation.Script) { s.Deploy(three); s.Deploy(one) },
			Act: func(s *simulation.Script) {
				s.Image(two, simulation.Behaviour{Version: two.Version, Starts: time.Second, Ends: 2500 * time.Millisecond, OnData: true})
				s.Deploy(two)
			},
		},
		result: release.Failed, runs: "one",
		cause: "while watched: the gateway exited with code 0: panic: out of luck", back: "rolled back: release 0.6.1 is healthy",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "update that falls ill",
			Before: func(s *simulation.Script) { s.Deploy(one) },
			Act: func(s *simulation.Script) {
				s.Image(two, simulation.Behaviour{Version: two.Version, Sick: 2 * time.Second, OnData: true})
				s.Deploy(two)
			},
		},
		alike: true, result: release.Failed, runs: "one",
		cause: "while watched: the gateway is not healthy any more: HTTP 503 starting", back: "rolled back: release 0.6.1 is healthy",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "update that fails its preflight",
			Before: func(s *simulation.Script) { s.Deploy(one) },
			Act: func(s *simulation.Script) {
				s.Image(two, simulation.Behaviour{Version: "0.6.9"})
				s.Deploy(two)
			},
		},
		result: release.Failed, runs: "one",
		cause: "preflight: /api/health reports version 0.6.9 instead of 0.6.2", back: "nothing was changed: release 0.6.1 was not touched",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "unsigned update",
			Before: func(s *simulation.Script) { s.Deploy(one) },
			Act:    func(s *simulation.Script) { r := two; r.Signature = nil; s.Deploy(r) },
		},
		result: release.Failed, runs: "one",
		cause: "verifying the image's signature: it is not signed, and this host demands it", back: "nothing was changed: release 0.6.1 was not touched",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "the same again",
			Before: func(s *simulation.Script) { s.Second(three); s.Deploy(one) },
			Act:    func(s *simulation.Script) { s.Deploy(one) },
		},
		result: release.Unchanged, runs: "one",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "rollback",
			Before: func(s *simulation.Script) { s.Second(three); s.Deploy(one); s.Deploy(two) },
			Act:    func(s *simulation.Script) { s.Rollback("gw") },
		},
		result: release.Deployed, runs: "one",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "rename",
			Before: func(s *simulation.Script) { s.Deploy(one) },
			Act:    func(s *simulation.Script) { s.Deploy(renamed(one)) },
		},
		result: release.Unchanged, runs: "one",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "take over",
			Before: func(s *simulation.Script) { s.Second(three); s.Deploy(one) },
			Act:    func(s *simulation.Script) { s.Deploy(taken(two)) },
		},
		result: release.Deployed, runs: "two",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "somebody else's",
			Before: func(s *simulation.Script) { s.Deploy(one) },
			Act:    func(s *simulation.Script) { r := taken(two); r.Owner.Takes = nil; s.Deploy(r) },
		},
		result: release.Failed, runs: "one",
		cause: "this machine runs gateway gw of stack acme/clawft/prod (owner 0123456789abcdef), and is not for gateway sales of stack acme/clawft/lab (owner fedcba9876543210)" +
			"\nto take the machine over, with the gateway's data, say so in clawft:hosts, at sales:\n  takeOver: 0123456789abcdef/gw",
		back: "nothing was changed",
	},
	{
		Scenario: simulation.Scenario{
			Name:   "remove",
			Before: func(s *simulation.Script) { s.Second(three); s.Deploy(two); s.Deploy(one) },
			Act:    func(s *simulation.Script) { s.Remove(one.Owner) },
		},
		runs: "",
	},
}

// renamed is a release of the same owner's gateway by another name.
func renamed(r release.Release) release.Release {
	r.Owner.Takes = []string{r.Owner.Key()}
	r.Owner.Gateway, r.Owner.Stack = "sales", "acme/clawft/lab"
	return r
}

// taken is a release of somebody who takes the gateway over.
func taken(r release.Release) release.Release {
	r = renamed(r)
	r.Owner.ID = simulation.Them
	return r
}

// What schedules leave behind is much, and gone at once.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// play plays a scenario with faults and fails with how to play it again.
func play(t *testing.T, s simulation.Scenario, o simulation.Options) simulation.Outcome {
	t.Helper()
	outcome := simulation.Simulate(t, s, o)
	if outcome.Violation != "" {
		t.Errorf("%s, %v: %s", s.Name, o.Faults, outcome.Violation)
	}
	return outcome
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			outcome := play(t, s.Scenario, simulation.Options{Seed: 1})
			if outcome.Runs != s.runs {
				t.Errorf("%q runs, want %q", outcome.Runs, s.runs)
			}
			var got release.Report
			if n := len(outcome.Reports); n > 0 {
				got = outcome.Reports[n-1]
			}
			if got.Result != s.result || got.Cause != s.cause || got.Back != s.back || got.Down || len(got.Notes) > 0 {
				t.Errorf("it is %s, cause %q, back %q, down %v, notes %q\nwant %s, cause %q, back %q", got.Result, got.Cause, got.Back, got.Down, got.Notes, s.result, s.cause, s.back)
			}
		})
	}
}

// TestEveryFaultAtEveryEffect has each kind of fault strike before each effect of each scenario
// where it makes a difference.
func TestEveryFaultAtEveryEffect(t *testing.T) {
	for _, s := range scenarios {
		if s.alike {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			effects := simulation.Simulate(t, s.Scenario, simulation.Options{Seed: 1}).Effects
			began, played := time.Now(), 0
			for at := range effects {
				for n, kind := range simulation.Kinds {
					if !matters(kind, effects, at) {
						continue
					}
					play(t, s.Scenario, simulation.Options{Seed: 1, Faults: []simulation.Fault{{At: at, Kind: kind}}, Brief: (at+n)%8 > 0})
					if played++; t.Failed() {
						return
					}
				}
			}
			t.Logf("%d faults at %d effects in %v", played, len(effects), time.Since(began).Truncate(time.Millisecond))
		})
	}
}

// matters tells whether a fault before an effect can show what it does not before another one.
func matters(kind simulation.Kind, effects []simulation.Effect, at int) bool {
	e := effects[at]
	is := func(by string) bool { return e.By == by }
	comes := func(match func(simulation.Effect) bool) bool { return slices.ContainsFunc(effects[at:], match) }
	switch kind {
	case simulation.Fails, simulation.FailsAfterwards:
		// What is asked again and again fails once or twice.
		before := 0
		for _, other := range effects[:at] {
			if !e.Changes && other == e {
				before++
			}
		}
		return before < 2
	case simulation.KillDeployerLate:
		return is("deploy") && e.Remote
	case simulation.KillRunnerLate:
		return is("run") && e.Remote
	case simulation.KillRecovery:
		return is("recover")
	case simulation.Second, simulation.SameAgain, simulation.ClockJumps:
		return e.Changes && is("deploy")
	case simulation.KillDeployer:
		return e.Changes && comes(func(e simulation.Effect) bool { return e.By == "deploy" })
	case simulation.KillRunner:
		return e.Changes && comes(func(e simulation.Effect) bool { return e.By == "run" })
	case simulation.RegistryGone:
		return e.Changes && comes(func(e simulation.Effect) bool { return strings.HasPrefix(e.Label, "pull") })
	}
	// What only asks leaves everything as it was.
	return e.Changes
}

// TestSchedules plays scenarios with several faults at effects that a seed decides.
func TestSchedules(t *testing.T) {
	from, to := uint64(1), *schedules+1
	if *seed != 0 {
		from, to = *seed, *seed+1
	}
	for n := from; n < to; n++ {
		random := rand.New(rand.NewPCG(n, 2))
		s := scenarios[random.IntN(len(scenarios))]
		o := simulation.Options{Seed: n}
		for range 1 + random.IntN(4) {
			o.Faults = append(o.Faults, simulation.Fault{At: random.IntN(200), Kind: simulation.Kinds[random.IntN(len(simulation.Kinds))]})
		}
		play(t, s.Scenario, o)
		if t.Failed() {
			t.Fatalf("play it again with: go test ./host/deploy -run TestSchedules -seed=%d", n)
		}
	}
}
