package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/deploy/simulation"
	"github.com/clawft/infra/host/release"
)

const (
	untouched = "nothing was changed: release 0.6.1 was not touched"
	refused   = "nothing was changed"
)

// TestCauses deploys what cannot be deployed, onto a machine that runs one.
func TestCauses(t *testing.T) {
	image := two.Image
	for _, c := range []struct {
		name     string
		arrange  func(*simulation.Script)
		release  func(*release.Release)
		cleanup  func(*simulation.Script)
		cause    string
		back     string
		lastLine string
	}{
		{name: "a release that is not valid", release: func(r *release.Release) { r.Version = "x" },
			cause: "the release is not valid:\nversion: \"x\" is not a version such as 0.6.19", back: refused},
		{name: "another gateway of ours", release: func(r *release.Release) { r.Owner.Gateway = "other" },
			cause: "this machine runs gateway gw of stack acme/clawft/prod (owner 0123456789abcdef), and is not for gateway other of stack acme/clawft/prod (owner 0123456789abcdef)" +
				"\nif other is the new name of gw, say so in clawft:hosts, at other:\n  was: gw" +
				"\nto take the machine over, with the gateway's data, say so in clawft:hosts, at other:\n  takeOver: 0123456789abcdef/gw", back: refused},
		{name: "a registry that refuses the login", arrange: func(s *simulation.Script) { s.Registry(false, true, false) },
			cause: "cannot pull " + image + ": the registry refuses the login: trying again does not help", back: untouched},
		{name: "a registry that does not answer", arrange: func(s *simulation.Script) { s.Registry(true, false, false) },
			cause: "cannot pull " + image + ": after 4 attempts: the registry does not answer", back: untouched},
		{name: "a registry that takes for ever", arrange: func(s *simulation.Script) { s.Registry(false, false, true) },
			cause: "cannot pull " + image + ": it took longer than 1m0s", back: untouched},
		{name: "a registry that does not answer for as long as may be", arrange: func(s *simulation.Script) { s.Registry(true, false, false) },
			release: func(r *release.Release) { r.PullTimeout = 4 },
			cause:   "cannot pull " + image + ": it took longer than 4s: the registry does not answer", back: untouched},
		{name: "an image for another machine", arrange: func(s *simulation.Script) {
			s.Image(two, simulation.Behaviour{Version: two.Version, Platform: "linux/arm64"})
		}, cause: "wrong architecture: the image is built for linux/arm64, this host is linux/amd64", back: untouched},
		{name: "an image that is for another machine and does not say so", arrange: func(s *simulation.Script) {
			s.Image(two, simulation.Behaviour{Version: two.Version, Program: "linux/arm64"})
		}, cause: "preflight: wrong architecture: the image's program is for linux/arm64, this host is linux/amd64", back: untouched},
		{name: "a gateway that exits", arrange: func(s *simulation.Script) {
			s.Image(two, simulation.Behaviour{Version: two.Version, Starts: -1, Ends: time.Second, Code: 1})
		}, cause: "preflight: the gateway exited with code 1: panic: out of luck", back: untouched, lastLine: "panic: out of luck"},
		{name: "a gateway that needs more memory", arrange: func(s *simulation.Script) {
			s.Image(two, simulation.Behaviour{Version: two.Version, Starts: -1, Ends: time.Second, Code: 137, OutOfMemory: true})
		}, cause: "preflight: the gateway ran out of its 256 MiB of memory: panic: out of luck", back: untouched, lastLine: "panic: out of luck"},
		{name: "a gateway that never is healthy", arrange: func(s *simulation.Script) {
			s.Image(two, simulation.Behaviour{Version: two.Version, Starts: -1})
		}, cause: "preflight: the gateway was not healthy within 20s: HTTP 503 starting", back: untouched, lastLine: "gateway 0.6.2 starts"},
		{name: "a gateway that never is healthy on its data", arrange: func(s *simulation.Script) {
			s.Image(two, simulation.Behaviour{Version: two.Version, Starts: -1, OnData: true})
		}, cause: "after the swap: the gateway was not healthy within 20s: HTTP 503 starting", back: "rolled back: release 0.6.1 is healthy", lastLine: "gateway 0.6.2 starts"},
		{name: "something in the way", arrange: func(s *simulation.Script) { s.InTheWay("port 80 is taken: free it", "no room") },
			cleanup: func(s *simulation.Script) { s.InTheWay() },
			cause:   "this machine cannot run the gateway: port 80 is taken: free it; no room", back: untouched},
		{name: "somebody's container", arrange: func(s *simulation.Script) { s.Foreign("clawft-gw-preflight") },
			cleanup: func(s *simulation.Script) { s.Gone() },
			cause:   "the container clawft-gw-preflight is not ours (image theirs, label clawft.owner: none); rename it, as with: docker rename clawft-gw-preflight OTHER: it is not ours", back: refused},
		{name: "a secret in the gateway's log", arrange: func(s *simulation.Script) {
			s.Image(two, simulation.Behaviour{Version: "a secret of two"})
		}, cause: "preflight: /api/health reports version [KEY] instead of 0.6.2", back: untouched, lastLine: "gateway [KEY] starts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			outcome := play(t, simulation.Scenario{
				Name:   c.name,
				Before: func(s *simulation.Script) { s.Deploy(one) },
				Act: func(s *simulation.Script) {
					if c.arrange != nil {
						c.arrange(s)
					}
					r := two
					if c.release != nil {
						c.release(&r)
					}
					s.Deploy(r)
					s.Registry(false, false, false)
					if c.cleanup != nil {
						c.cleanup(s)
					}
				},
			}, simulation.Options{Seed: 1})
			if len(outcome.Reports) == 0 {
				return
			}
			got := outcome.Reports[0]
			last := ""
			if n := len(got.Log); n > 0 {
				last = got.Log[n-1]
			}
			if got.Result != release.Failed || got.Cause != c.cause || got.Back != c.back || got.Down || last != c.lastLine {
				t.Errorf("it is %s, cause %q, back %q, last line %q\nwant cause %q, back %q, last line %q", got.Result, got.Cause, got.Back, last, c.cause, c.back, c.lastLine)
			}
			if outcome.Runs != "one" {
				t.Errorf("%q runs", outcome.Runs)
			}
			if text := strings.Join(outcome.Said, "\n") + got.Text(); strings.Contains(text, "a secret of") {
				t.Errorf("a secret is told: %s", text)
			}
		})
	}
}

func TestRollbackWithoutAWayBack(t *testing.T) {
	for _, c := range []struct{ name, gateway, cause string }{
		{"of none", "other", "there is no gateway other on this host"},
		{"of the first release", "gw", "no other release ran here before: deploy the version that is wanted"},
	} {
		outcome := play(t, simulation.Scenario{
			Name:   c.name,
			Before: func(s *simulation.Script) { s.Deploy(one) },
			Act:    func(s *simulation.Script) { s.Rollback(c.gateway) },
		}, simulation.Options{Seed: 1})
		if len(outcome.Reports) != 1 || outcome.Reports[0].Cause != c.cause || outcome.Reports[0].Back != refused || outcome.Reports[0].Action != "rollback" {
			t.Errorf("%s: it is %+v", c.name, outcome.Reports)
		}
	}
}

// What a host says about its gateways is what was done there.
func TestHistory(t *testing.T) {
	play(t, simulation.Scenario{
		Name: "history",
		Act: func(s *simulation.Script) {
			s.Ask(func(h *deploy.Host) {
				if got, err := h.Gateways(); err != nil || len(got) > 0 {
					t.Errorf("a fresh host has %v, error %v", got, err)
				}
			})
			s.Deploy(one)
			s.Image(two, simulation.Behaviour{Version: "0.6.9"})
			s.Deploy(two)
			s.Deploy(renamed(one))
			s.Ask(func(h *deploy.Host) {
				got, err := h.Gateways()
				if err != nil || len(got) != 1 || got[0].Place != "gw" || got[0].Record.Owner.Gateway != "sales" || got[0].Status == nil || got[0].Status.Routed != "sales" {
					t.Errorf("it has %+v, error %v", got, err)
				}
				history, err := h.History("sales")
				if err != nil || len(history) != 2 || history[0].Result != release.Deployed || history[1].Result != release.Failed || history[1].Log != nil {
					t.Errorf("it is %+v, error %v", history, err)
				}
				if _, err := h.History("gw"); err == nil {
					t.Error("a name that is gone has a history")
				}
			})
			for range 60 {
				s.Deploy(func() release.Release { r := two; r.Owner = renamed(one).Owner; r.Owner.Takes = nil; return r }())
			}
			s.Ask(func(h *deploy.Host) {
				if history, err := h.History("sales"); err != nil || len(history) != 50 {
					t.Errorf("it has %d, error %v", len(history), err)
				}
			})
		},
	}, simulation.Options{Seed: 1})
}

// A record that is damaged says so, and nothing is done.
func TestADamagedRecord(t *testing.T) {
	const record = deploy.StateDirectory + "/gw/record.json"
	outcome := simulation.Simulate(t, simulation.Scenario{
		Name:   "a damaged record",
		Before: func(s *simulation.Script) { s.Deploy(one) },
		Act: func(s *simulation.Script) {
			s.Write(record, "{")
			s.Deploy(two)
			s.Ask(func(h *deploy.Host) {
				if _, err := h.Gateways(); err == nil {
					t.Error("it has gateways")
				}
				if _, err := h.Remove(context.Background(), one.Owner); err == nil {
					t.Error("a gateway is removed")
				}
			})
		},
	}, simulation.Options{Seed: 1, Brief: true})
	if len(outcome.Reports) != 1 || !strings.HasPrefix(outcome.Reports[0].Cause, "reading "+record+", which is damaged: ") || outcome.Reports[0].Back != refused {
		t.Errorf("it is %+v, %s", outcome.Reports, outcome.Violation)
	}
	if outcome.Runs != "one" {
		t.Errorf("%q runs", outcome.Runs)
	}
}
