package stack

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Step is an operation that the engine carried out on a resource.
type Step struct {
	Op   apitype.OpType
	Type string
	Name string
	// Started is when the engine began the operation, and Elapsed how long it took.
	Started time.Time
	Elapsed time.Duration
	// Diffs are the properties that made it necessary.
	Diffs  []string
	Failed bool
}

// Progress follows a run of the engine and writes a line for every resource
// that changes, when it has changed, and every error.
type Progress struct {
	// log gets everything that resources tell of themselves while they are worked
	// on, which is too much for out.
	out, log io.Writer
	builds   map[string]*build
	began    time.Time

	mu      sync.Mutex
	started map[string]time.Time
	steps   []Step
	errors  []string
	wait    sync.WaitGroup
}

// NewProgress writes to out, and to log what is too much for it.
func NewProgress(out, log io.Writer) *Progress {
	return &Progress{out: out, log: log, builds: map[string]*build{}, began: time.Now(), started: map[string]time.Time{}}
}

// Listen returns a channel for the events of one run. The engine's side closes
// it; Done waits for that.
func (p *Progress) Listen() chan<- events.EngineEvent {
	channel := make(chan events.EngineEvent, 64)
	p.wait.Go(func() {
		for event := range channel {
			p.take(event.EngineEvent)
		}
	})
	return channel
}

// Done waits until everything that was reported has been written.
func (p *Progress) Done() { p.wait.Wait() }

// Steps returns what changed, in the order of completion.
func (p *Progress) Steps() []Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.steps)
}

// Errors returns the error messages of the run.
func (p *Progress) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.errors)
}

func (p *Progress) take(event apitype.EngineEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case event.ResourcePreEvent != nil:
		p.started[event.ResourcePreEvent.Metadata.URN] = time.Now()
	case event.ResOutputsEvent != nil:
		p.finish(event.ResOutputsEvent.Metadata, event.ResOutputsEvent.Planning, false)
	case event.ResOpFailedEvent != nil:
		p.finish(event.ResOpFailedEvent.Metadata, false, true)
	case event.DiagnosticEvent != nil:
		p.diagnose(*event.DiagnosticEvent)
	}
}

var verbs = map[apitype.OpType]string{
	apitype.OpCreate:            "created",
	apitype.OpUpdate:            "updated",
	apitype.OpDelete:            "deleted",
	apitype.OpReplace:           "replaced",
	apitype.OpCreateReplacement: "created",
	apitype.OpDeleteReplaced:    "deleted",
	apitype.OpRefresh:           "refreshed",
	apitype.OpImport:            "imported",
}

var plans = map[apitype.OpType]string{
	apitype.OpCreate:            "create",
	apitype.OpUpdate:            "update",
	apitype.OpDelete:            "delete",
	apitype.OpReplace:           "REPLACE",
	apitype.OpCreateReplacement: "create",
	apitype.OpDeleteReplaced:    "delete",
	apitype.OpImport:            "import",
}

func (p *Progress) finish(step apitype.StepEventMetadata, planning, failed bool) {
	words := verbs
	if planning {
		words = plans
	}
	verb, shown := words[step.Op]
	if !shown || step.Type == "pulumi:pulumi:Stack" {
		return
	}
	done := Step{
		Op:     step.Op,
		Type:   step.Type,
		Name:   step.URN[strings.LastIndex(step.URN, "::")+2:],
		Diffs:  step.Diffs,
		Failed: failed,
	}
	if at, ok := p.started[step.URN]; ok {
		done.Started, done.Elapsed = at, time.Since(at)
	}
	p.steps = append(p.steps, done)
	if step.Op == apitype.OpRefresh {
		return
	}
	if failed {
		verb = "FAILED"
	}
	line := fmt.Sprintf("  %-8s %-10s %s", verb, kind(step.Type), done.Name)
	if len(done.Diffs) > 0 {
		line += " (" + strings.Join(done.Diffs, ", ") + ")"
	}
	if !planning && done.Elapsed >= 100*time.Millisecond {
		line += fmt.Sprintf("  %.1f s", done.Elapsed.Seconds())
	}
	fmt.Fprintln(p.out, line)
}

// note writes what a resource tells to the log, and the steps of a build to the
// screen as well: what takes minutes shows where it is.
func (p *Progress) note(diagnostic apitype.DiagnosticEvent) {
	name := diagnostic.URN[strings.LastIndex(diagnostic.URN, ":")+1:]
	for line := range strings.Lines(colour.ReplaceAllString(diagnostic.Message, "")) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		fmt.Fprintf(p.log, "%7.1f %s: %s\n", time.Since(p.began).Seconds(), name, line)
		if !diagnostic.Ephemeral {
			continue
		}
		if p.builds[name] == nil {
			p.builds[name] = &build{}
		}
		for _, shown := range p.builds[name].take(line) {
			fmt.Fprintln(p.out, shown)
		}
	}
}

// kind is the last part of a type token: "hcloud:index/server:Server" → "Server".
func kind(token string) string {
	return token[strings.LastIndex(token, ":")+1:]
}

// colour matches the engine's colour directives: <{%fg 1%}>.
var colour = regexp.MustCompile(`<\{%[^%]*%\}>`)

func (p *Progress) diagnose(diagnostic apitype.DiagnosticEvent) {
	p.note(diagnostic)
	if diagnostic.Severity != "error" && diagnostic.Severity != "warning" {
		return
	}
	message := strings.TrimSpace(colour.ReplaceAllString(diagnostic.Message, ""))
	if diagnostic.Severity == "error" {
		p.errors = append(p.errors, message)
	}
	if diagnostic.URN != "" {
		message = diagnostic.URN[strings.LastIndex(diagnostic.URN, "::")+2:] + ": " + message
	}
	fmt.Fprintf(p.out, "  %s: %s\n", diagnostic.Severity, strings.ReplaceAll(message, "\n", "\n    "))
}
