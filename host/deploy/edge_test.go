package deploy_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/deploy/simulation"
	"github.com/clawft/infra/host/release"
)

const (
	recordFile = deploy.StateDirectory + "/gw/record.json"
	backFile   = deploy.StateDirectory + "/gw/back.json"
	statusFile = deploy.VolatileDirectory + "/gw/status.json"
)

// watched is the number of the effect by which a deployment begins to watch.
func watched(t *testing.T, s simulation.Scenario) int {
	t.Helper()
	effects := simulation.Simulate(t, s, simulation.Options{Seed: 1}).Effects
	n := slices.IndexFunc(effects, func(e simulation.Effect) bool { return strings.HasPrefix(e.Label, "release ") })
	if n < 0 {
		t.Fatal("nothing is let go")
	}
	return n + 1
}

// act plays something after which one release runs and another one was wanted last.
func act(t *testing.T, o simulation.Options, before, act func(*simulation.Script)) simulation.Outcome {
	t.Helper()
	o.Seed = 1
	return play(t, simulation.Scenario{Name: t.Name(), Before: before, Act: act}, o)
}

// The way back is on the disk. Where somebody has removed it, it is made of the record.
func TestAWayBackThatIsGone(t *testing.T) {
	update := simulation.Scenario{
		Before: func(s *simulation.Script) { s.Deploy(one) },
		Act:    func(s *simulation.Script) { s.Deploy(two) },
	}
	outcome := act(t, simulation.Options{Faults: []simulation.Fault{{At: watched(t, update), Kind: simulation.PowerCut}}}, update.Before, func(s *simulation.Script) {
		s.Deploy(two)
		s.Write(backFile, "")
	})
	if outcome.Runs != "one" {
		t.Errorf("after the boot, %q runs", outcome.Runs)
	}
	first := simulation.Scenario{Act: func(s *simulation.Script) { s.Deploy(one) }}
	cut := simulation.Options{Faults: []simulation.Fault{{At: watched(t, first), Kind: simulation.PowerCut}}}
	outcome = act(t, cut, nil, func(s *simulation.Script) {
		s.Deploy(one)
		s.Write(backFile, "")
		s.Sleep(time.Minute)
		s.Deploy(two)
	})
	if got := outcome.Reports[1]; got.Result != release.Deployed || outcome.Runs != "two" {
		t.Errorf("%q runs, and the report is %+v", outcome.Runs, got)
	}
	outcome = act(t, cut, nil, func(s *simulation.Script) {
		s.Deploy(one)
		s.Write(backFile, "")
		s.Disk(true)
		s.Sleep(time.Minute)
		s.Deploy(two)
		s.Disk(false)
		s.Deploy(two)
	})
	want := "going back to what ran before an earlier deployment: writing " + recordFile
	if got := outcome.Reports[1]; !strings.HasPrefix(got.Cause, want) || outcome.Reports[2].Result != release.Deployed {
		t.Errorf("the cause is %q, want %q; then it is %s", got.Cause, want, outcome.Reports[2].Result)
	}
}

func TestRequestsThatDoNotEnd(t *testing.T) {
	outcome := act(t, simulation.Options{}, func(s *simulation.Script) { s.Deploy(one) }, func(s *simulation.Script) {
		s.Proxy(3, false)
		s.Deploy(two)
	})
	want := "3 requests were still under way after 5 s: the old gateway finished or cut them as it stopped"
	if got := outcome.Reports[0]; got.Result != release.Deployed || !slices.Equal(got.Notes, []string{want}) {
		t.Errorf("it is %s, notes %q", got.Result, got.Notes)
	}
}

func TestAProxyThatTakesNoRoute(t *testing.T) {
	outcome := act(t, simulation.Options{}, func(s *simulation.Script) { s.Deploy(one) }, func(s *simulation.Script) {
		s.Proxy(0, true)
		s.Deploy(two)
		s.Proxy(0, false)
	})
	got := outcome.Reports[0]
	if got.Cause != "after the swap: the gateway is healthy, and the proxy does not answer" || !got.Down ||
		got.Back != "ROLLBACK FAILED: release 0.6.1 is not healthy either: the gateway is healthy, and the proxy does not answer. The gateway is DOWN on this host." {
		t.Errorf("the cause is %q, back %q, down %v", got.Cause, got.Back, got.Down)
	}
	if outcome.Runs != "one" {
		t.Errorf("%q runs", outcome.Runs)
	}
}

func TestAVersionThatChanges(t *testing.T) {
	outcome := act(t, simulation.Options{}, func(s *simulation.Script) { s.Deploy(one) }, func(s *simulation.Script) {
		s.Image(two, simulation.Behaviour{Version: two.Version, Sick: 2 * time.Second, Later: "0.6.8", OnData: true})
		s.Deploy(two)
	})
	if got := outcome.Reports[0].Cause; got != "while watched: /api/health reports version 0.6.8" {
		t.Errorf("the cause is %q", got)
	}
}

// A status that says nothing is none: what runs is not known to be healthy, and is started anew.
func TestADamagedStatus(t *testing.T) {
	outcome := act(t, simulation.Options{}, func(s *simulation.Script) { s.Deploy(one) }, func(s *simulation.Script) {
		s.Write(statusFile, "{")
		s.Deploy(one)
	})
	if got := outcome.Reports[0]; got.Result != release.Deployed || outcome.Runs != "one" {
		t.Errorf("it is %+v", got)
	}
}

func TestRemove(t *testing.T) {
	remove := func(s *simulation.Script, owner release.Owner, want string) {
		t.Helper()
		s.Ask(func(h *deploy.Host) {
			got, err := h.Remove(context.Background(), owner)
			if err != nil || got != want {
				t.Errorf("it says %q, error %v, want %q", got, err, want)
			}
		})
	}
	const (
		none    = "no gateway is installed here, nothing was removed; data is kept in /var/lib/clawft"
		removed = "removed the gateway; its data is kept in /var/lib/clawft/gw/data"
	)
	theirs := taken(one).Owner
	act(t, simulation.Options{}, nil, func(s *simulation.Script) {
		remove(s, one.Owner, none)
		s.Deploy(one)
		remove(s, theirs, "nothing was removed: this machine runs gateway gw of stack acme/clawft/prod (owner 0123456789abcdef), and not gateway sales of owner fedcba9876543210")
		s.Deploy(taken(one))
		// Who had it deletes it late.
		remove(s, one.Owner, "nothing was removed: this machine runs gateway sales of stack acme/clawft/lab (owner fedcba9876543210), and not gateway gw of owner 0123456789abcdef")
		remove(s, theirs, removed)
		remove(s, theirs, none)
		s.Ask(func(h *deploy.Host) {
			if got, err := h.Gateways(); err != nil || len(got) > 0 {
				t.Errorf("there are %v, error %v", got, err)
			}
		})
	})
	first := simulation.Scenario{Act: func(s *simulation.Script) { s.Deploy(one) }}
	act(t, simulation.Options{Faults: []simulation.Fault{{At: watched(t, first), Kind: simulation.PowerCut}}}, nil, func(s *simulation.Script) {
		s.Deploy(one)
		s.Sleep(time.Minute)
		remove(s, one.Owner, none)
	})
}
