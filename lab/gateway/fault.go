package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fault makes this build broken in one way, for tests of failed deployments.
// Set by -ldflags "-X main.fault=NAME" or NAME=SECONDS; empty is a sound build.
var fault string

// The ways to be broken. Those that end the process do so with exit code 1.
const (
	exitAtOnce      = "exit-at-once"      // exits before it opens its port
	refuseConfig    = "refuse-config"     // rejects every config, as a release that renamed a key would
	neverHealthy    = "never-healthy"     // answers 503 on the health route
	hang            = "hang"              // accepts the health request and never answers
	slowStart       = "slow-start"        // answers 503 for the first SECONDS, then is healthy
	wrongVersion    = "wrong-version"     // is healthy and reports another version
	crashAfter      = "crash-after"       // is healthy and exits after SECONDS
	unhealthyOnData = "unhealthy-on-data" // is healthy until it meets stored messages
	ignoreStop      = "ignore-stop"       // does not react to SIGINT
)

// FaultVersion is what a wrong-version build reports.
const FaultVersion = "0.0.0-fault"

// faultSpec is a parsed fault.
type faultSpec struct {
	name    string
	seconds int
}

func parseFault(text string) (faultSpec, error) {
	name, value, timed := strings.Cut(text, "=")
	f := faultSpec{name: name, seconds: 3}
	known := []string{"", exitAtOnce, refuseConfig, neverHealthy, hang, slowStart, wrongVersion, crashAfter, unhealthyOnData, ignoreStop}
	if !slices.Contains(known, name) {
		return f, fmt.Errorf("unknown fault %q: this build is wrong", name)
	}
	if timed {
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds < 0 || name != slowStart && name != crashAfter {
			return f, fmt.Errorf("fault %q: only %s and %s take seconds", text, slowStart, crashAfter)
		}
		f.seconds = seconds
	}
	return f, nil
}

// atStart returns the error of a build that does not come up.
func (f faultSpec) atStart() error {
	switch f.name {
	case exitAtOnce:
		return errors.New("lab fault exit-at-once: this build exits as soon as it starts")
	case refuseConfig:
		return errors.New("lab fault refuse-config: failed to parse config: missing field `release_channel`")
	}
	return nil
}

// whileRunning yields the error that ends a running build.
func (f faultSpec) whileRunning() <-chan error {
	crashed := make(chan error, 1)
	if f.name == crashAfter {
		time.AfterFunc(time.Duration(f.seconds)*time.Second, func() {
			crashed <- fmt.Errorf("lab fault crash-after: this build crashes %d s after its start", f.seconds)
		})
	}
	return crashed
}

// unhealthy returns why the health route must not say ok, or "".
func (f faultSpec) unhealthy(ctx context.Context, s *store, uptime time.Duration) string {
	reason := ""
	switch f.name {
	case neverHealthy:
		reason = "lab fault never-healthy: this build never becomes healthy"
	case hang:
		fmt.Fprintln(os.Stderr, "lab fault hang: this build does not answer the health route")
		<-ctx.Done()
	case slowStart:
		if left := time.Duration(f.seconds)*time.Second - uptime; left > 0 {
			reason = "lab fault slow-start: this build is still starting"
		}
	case unhealthyOnData:
		if messages, err := s.messages(""); err != nil || len(messages) > 0 {
			reason = fmt.Sprintf("lab fault unhealthy-on-data: this build cannot migrate %d messages", len(messages))
		}
	}
	if reason != "" {
		fmt.Fprintln(os.Stderr, reason)
	}
	return reason
}

func (f faultSpec) reportedVersion() string {
	if f.name == wrongVersion {
		return FaultVersion
	}
	return version
}

func (f faultSpec) ignoresStop() bool {
	if f.name == ignoreStop {
		fmt.Fprintln(os.Stderr, "lab fault ignore-stop: this build does not react to SIGINT")
		return true
	}
	return false
}
