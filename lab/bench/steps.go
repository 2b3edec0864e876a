package bench

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/stack"
)

// timing is what a host reports of a deployment, in seconds.
type timing struct {
	pull, preflight, swap, watch time.Duration
	// held is how long requests waited, which overlaps with the swap.
	held time.Duration
}

// parseTiming reads the line of a deployment's report that begins with "timing".
func parseTiming(report string) (timing, error) {
	for line := range strings.Lines(report) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "timing" {
			continue
		}
		var t timing
		targets := map[string]*time.Duration{
			"pull": &t.pull, "preflight": &t.preflight, "swap": &t.swap, "watch": &t.watch, "held": &t.held,
		}
		for _, field := range fields[1:] {
			name, text, _ := strings.Cut(field, "=")
			target, known := targets[name]
			seconds, err := strconv.ParseFloat(text, 64)
			if !known || err != nil {
				return timing{}, fmt.Errorf("reading a deployment's times: %q is not one of pull, preflight, swap, watch, held with seconds", field)
			}
			*target = time.Duration(seconds * float64(time.Second))
			delete(targets, name)
		}
		if len(targets) > 0 {
			return timing{}, fmt.Errorf("reading a deployment's times: %q lacks some of pull, preflight, swap, watch, held", strings.TrimSpace(line))
		}
		return t, nil
	}
	return timing{}, fmt.Errorf("reading a deployment's times: no line begins with \"timing\" in its report:\n%s", report)
}

// Types of the steps that are told apart by name or not by their package.
const (
	commandType = "command:remote:Command"
	localType   = "command:local:Command"
)

// stepSpans tells which part each step of the engine belongs to, and the
// longest time that a host held requests. Reports are by host.
func stepSpans(steps []stack.Step, reports map[string]string) ([]span, time.Duration, error) {
	var spans []span
	var held time.Duration
	for _, step := range steps {
		whole := span{from: step.Started, to: step.Started.Add(step.Elapsed)}
		host, isRelease := strings.CutSuffix(step.Name, "-release")
		switch {
		case step.Type == commandType && isRelease:
			t, err := parseTiming(reports[host])
			if err != nil {
				return nil, 0, fmt.Errorf("host %s: %w", host, err)
			}
			spans = append(spans, t.spans(whole)...)
			held = max(held, t.held)
			continue
		case step.Type == commandType:
			whole.part = sshPart
		case step.Type == hcloud.ServerToken:
			whole.part = serverPart
		case step.Type == localType, strings.HasPrefix(step.Type, "docker-build:"), strings.HasPrefix(step.Type, "docker:"):
			whole.part = imagePart
		case strings.HasPrefix(step.Type, "github:"):
			whole.part = githubPart
		default:
			continue
		}
		spans = append(spans, whole)
	}
	return spans, held, nil
}

// spans lays the phases of a deployment one after the other into its step. What
// is left is its own: logging in, handing over, pruning.
func (t timing) spans(step span) []span {
	var spans []span
	at := step.from
	for _, phase := range []struct {
		part part
		took time.Duration
	}{
		{pullPart, t.pull}, {preflightPart, t.preflight}, {swapPart, t.swap}, {watchPart, t.watch},
	} {
		end := at.Add(phase.took)
		if end.After(step.to) {
			end = step.to
		}
		spans = append(spans, span{phase.part, at, end})
		at = end
	}
	return append(spans, span{deployPart, at, step.to})
}
