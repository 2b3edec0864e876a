package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/clawft/infra/lab/site"
	"github.com/clawft/infra/pipeline"
)

// updateVersion is what the benchmark updates site.DefaultVersion to.
const updateVersion = "0.6.20"

// removeTimeout bounds the removal of the benchmark's lab, which happens even
// when the benchmark is interrupted.
const removeTimeout = 2 * time.Minute

// Run is one command of the lab, with its time split. All times are in seconds.
type Run struct {
	Name  string  `json:"name"`
	Total float64 `json:"total"`
	// Parts add up to Total. A part that had nothing to do is absent.
	Parts map[part]float64 `json:"parts"`
	// Busy is how long each part of the engine's run was at work, overlaps included.
	Busy map[part]float64 `json:"busy"`
	// Held is the longest that a host held requests.
	Held float64 `json:"held,omitempty"`
}

// labRun is a command to measure.
type labRun struct {
	name    string
	release site.Release
	preview bool
	// wanted are the parts that have to be found, or the split is wrong.
	wanted []part
}

// Lab measures the commands of a lab of its own, which is empty before and
// afterwards. The tools and the machines' image are in the cache when it begins
// to measure.
func Lab(ctx context.Context, options site.Options) (runs []Run, err error) {
	watch := &stopwatch{}
	options.Program = watch.time(pipeline.Deploy)
	if err := remove(ctx, options); err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		err = errors.Join(err, remove(ctx, options))
	}()
	opened, err := site.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := opened.Close(); err != nil {
		return nil, err
	}

	first, second := site.Release{Version: site.DefaultVersion}, site.Release{Version: updateVersion}
	for _, run := range []labRun{
		{"fresh up", first, false, []part{programPart, enginePart, serverPart, imagePart, sshPart, swapPart, watchPart}},
		{"no-op up", first, false, []part{programPart, enginePart}},
		{"no-op preview", first, true, []part{programPart, enginePart}},
		{"update", second, false, []part{programPart, enginePart, imagePart, swapPart, watchPart}},
	} {
		watch.reset()
		measured, err := run.measure(ctx, options, watch)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", run.name, err)
		}
		runs = append(runs, measured)
	}
	return runs, nil
}

func remove(ctx context.Context, options site.Options) error {
	// A run enters the project's directory, which goes as well.
	if err := os.Chdir(options.Root); err != nil {
		return fmt.Errorf("leaving the project's directory: %w", err)
	}
	return site.Remove(ctx, options)
}

func (r labRun) measure(ctx context.Context, options site.Options, watch *stopwatch) (Run, error) {
	fmt.Fprintf(options.Out, "\n=== %s\n", r.name)
	whole := span{part: labPart, from: time.Now()}
	opened, err := site.Open(ctx, options)
	if err != nil {
		return Run{}, err
	}
	outcome, err := r.execute(ctx, opened)
	if err = errors.Join(err, opened.Close()); err != nil {
		return Run{}, err
	}
	whole.to = time.Now()

	if err := r.verify(ctx, options, outcome.Changes); err != nil {
		return Run{}, err
	}
	spans, held, err := stepSpans(outcome.Steps, reports(outcome.Gateways))
	if err != nil {
		return Run{}, err
	}
	spans = slices.Concat(spans, watch.spans(), phaseSpans(opened.Log.Phases()))
	return r.result(whole, spans, held)
}

func (r labRun) execute(ctx context.Context, opened *site.Site) (*site.Outcome, error) {
	if !r.preview {
		return opened.Up(ctx, r.release, false)
	}
	changes, err := opened.Preview(ctx, r.release, false)
	return &site.Outcome{Changes: changes}, err
}

// verify demands that a run did what its name says.
func (r labRun) verify(ctx context.Context, options site.Options, changes map[string]int) error {
	if strings.HasPrefix(r.name, "no-op") && (len(changes) != 1 || changes["same"] == 0) {
		return fmt.Errorf("it was to change nothing, but: %v", changes)
	}
	hosts, err := site.LoadHosts(options.Root, options.Name)
	if err != nil {
		return err
	}
	for _, host := range hosts.All() {
		health, err := hosts.Health(ctx, host)
		if err != nil {
			return err
		}
		if health.Status != "ok" || health.Version != r.release.Version {
			return fmt.Errorf("%s reports status %q, version %q; want ok, %s", host.Name, health.Status, health.Version, r.release.Version)
		}
	}
	return nil
}

func reports(gateways []site.Gateway) map[string]string {
	reports := map[string]string{}
	for _, gateway := range gateways {
		reports[gateway.Name] = gateway.Report
	}
	return reports
}

// phaseSpans are the phases of the lab's log in which the stack's source is made
// ready and in which the engine runs.
func phaseSpans(phases []site.Phase) []span {
	parts := map[string]part{"source": sourcePart, "up": enginePart, "preview": enginePart}
	var spans []span
	for _, phase := range phases {
		if part, ok := parts[phase.Name]; ok {
			spans = append(spans, span{part, phase.Started, phase.Started.Add(phase.Elapsed)})
		}
	}
	return spans
}

func (r labRun) result(whole span, spans []span, held time.Duration) (Run, error) {
	run := Run{
		Name:  r.name,
		Total: whole.to.Sub(whole.from).Seconds(),
		Parts: inSeconds(split(whole, spans)),
		Busy:  inSeconds(busy(spans)),
		Held:  held.Seconds(),
	}
	for _, part := range r.wanted {
		if run.Busy[part] == 0 {
			return Run{}, fmt.Errorf("no time was found for %s; have the stack's steps or the lab's phases other names now?", part)
		}
	}
	return run, nil
}

func inSeconds(times map[part]time.Duration) map[part]float64 {
	seconds := map[part]float64{}
	for part, time := range times {
		seconds[part] = time.Seconds()
	}
	return seconds
}
