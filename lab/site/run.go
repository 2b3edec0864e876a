package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/clawft/infra/lab/stack"
)

// Gateway is a host's gateway as the stack's outputs describe it.
type Gateway struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	User    string `json:"user"`
	HostKey string `json:"hostKey"`
	Image   string `json:"image"`
	Report  string `json:"report"`
	Tunnel  string `json:"tunnel"`
}

// Outcome is what a run of the stack did.
type Outcome struct {
	Version string
	Image   string
	// PublicKeys are those by one of which the hosts demand a signature.
	PublicKeys []string
	Gateways   []Gateway
	// Changes counts resources by what happened to them: create, update, same…
	Changes map[string]int
	Steps   []stack.Step
}

// prepare opens the stack for a release, as a phase of a name: everything that
// the stack's configuration names exists afterwards.
func (s *Site) prepare(ctx context.Context, phase string, release Release) (opened *stack.Stack, err error) {
	err = s.Log.Phase(phase, func() (err error) {
		opened, err = s.openRelease(ctx, release)
		return err
	})
	return opened, err
}

func (s *Site) openRelease(ctx context.Context, release Release) (*stack.Stack, error) {
	existing, err := s.existing(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(stack.ProjectDir(s.home), 0o700); err != nil {
		return nil, fmt.Errorf("creating the project's directory: %w", err)
	}
	// Plugins run in the project's directory, and so do their stand-ins.
	if err := os.Chdir(stack.ProjectDir(s.home)); err != nil {
		return nil, fmt.Errorf("entering the project's directory: %w", err)
	}
	if err := s.writeContext(ctx, release); err != nil {
		return nil, err
	}
	opened, err := s.openStack(ctx, s.settings(release, existing))
	if err != nil {
		return nil, err
	}
	return opened, s.recover(ctx, opened)
}

func (s *Site) openStack(ctx context.Context, settings stack.Settings) (*stack.Stack, error) {
	return stack.Open(ctx, stack.Options{
		Dir:         s.Dir,
		Home:        s.home,
		Name:        StackName,
		ProjectFile: s.Root + "/Pulumi.yaml",
		StackFile:   s.Root + "/Pulumi." + StackName + ".yaml",
		Pulumi:      s.pulumi,
		Providers:   s.servers.Env(),
		Settings:    settings,
		Program:     s.program,
	})
}

// recover mends what a killed run left behind. What it left at Hetzner is the
// program's to find.
func (s *Site) recover(ctx context.Context, opened *stack.Stack) error {
	known, err := known(ctx, opened)
	if err != nil {
		return err
	}
	// What a stack no longer manages stays in its repository. Only after a run
	// that did not end is something there that no run ever got to know.
	if !s.wasInterrupted() {
		return nil
	}
	pruned, err := s.hub.Prune(repositoryOwner, repositoryName, workflowCommit, known)
	s.notePruned(pruned)
	return err
}

// known tells whether the stack's state has a resource, by type token and ID.
func known(ctx context.Context, opened *stack.Stack) (func(token, id string) bool, error) {
	resources, err := opened.Recover(ctx)
	return func(token, id string) bool {
		return slices.ContainsFunc(resources, func(resource apitype.ResourceV3) bool {
			return string(resource.Type) == token && string(resource.ID) == id
		})
	}, err
}

func (s *Site) notePruned(pruned []string) {
	for _, name := range pruned {
		s.Log.Printf("removed %s, which an interrupted run had created", name)
	}
}

// workflowCommit begins the messages of the commits with which the product
// writes files.
const workflowCommit = "ci: update "

// runningMark is there while a run is under way, and after one that was
// interrupted.
func (s *Site) runningMark() string { return filepath.Join(s.Dir, "running") }

func (s *Site) wasInterrupted() bool {
	_, err := os.Stat(s.runningMark())
	return err == nil
}

// mark notes that a run is under way. The returned function notes its end,
// unless it was interrupted.
func (s *Site) mark(ctx context.Context) (ended func() error, err error) {
	if err := os.WriteFile(s.runningMark(), nil, 0o600); err != nil {
		return nil, fmt.Errorf("noting that a run is under way: %w", err)
	}
	return func() error {
		select {
		case <-ctx.Done():
			return nil
		default:
			return os.Remove(s.runningMark())
		}
	}, nil
}

// Up deploys a release. With refresh, the state is first compared with what
// really exists, so that drift is repaired.
func (s *Site) Up(ctx context.Context, release Release, refresh bool) (*Outcome, error) {
	opened, err := s.prepare(ctx, "source", release)
	if err != nil {
		return nil, err
	}
	ended, err := s.mark(ctx)
	if err != nil {
		return nil, err
	}
	details, err := s.details("up")
	if err != nil {
		return nil, err
	}
	defer details.Close()
	progress := stack.NewProgress(s.Log.out, details)
	var result auto.UpResult
	err = s.Log.Phase("up", func() (err error) {
		s.Log.Printf("log      %s", details.Name())
		options := []optup.Option{
			optup.EventStreams(progress.Listen()), optup.SuppressProgress(),
			optup.ShowSecrets(false), // in the record of the run, which is read for its counts
		}
		if refresh {
			options = append(options, optup.Refresh())
		}
		result, err = opened.Up(ctx, options...)
		progress.Done()
		return errors.Join(failure(err, progress), ended())
	})
	if err != nil {
		return nil, err
	}
	if err := s.rememberRelease(release); err != nil {
		return nil, err
	}
	outcome := &Outcome{Steps: progress.Steps(), Changes: map[string]int{}}
	if result.Summary.ResourceChanges != nil {
		outcome.Changes = *result.Summary.ResourceChanges
	}
	if err := outcome.read(result.Outputs); err != nil {
		return nil, err
	}
	return outcome, s.noteHosts(outcome.Gateways)
}

// details is the log of a run: what resources told of themselves, line by line,
// with the seconds since it began.
func (s *Site) details(run string) (*os.File, error) {
	log, err := os.OpenFile(filepath.Join(s.Dir, run+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the log of the run: %w", err)
	}
	return log, nil
}

// Preview shows what a release would change.
func (s *Site) Preview(ctx context.Context, release Release, refresh bool) (map[string]int, error) {
	opened, err := s.prepare(ctx, "source", release)
	if err != nil {
		return nil, err
	}
	progress := stack.NewProgress(s.Log.out, io.Discard)
	changes := map[string]int{}
	err = s.Log.Phase("preview", func() error {
		options := []optpreview.Option{optpreview.EventStreams(progress.Listen()), optpreview.SuppressProgress()}
		if refresh {
			options = append(options, optpreview.Refresh())
		}
		result, err := opened.Preview(ctx, options...)
		progress.Done()
		for op, count := range result.ChangeSummary {
			changes[string(op)] = count
		}
		return failure(err, progress)
	})
	return changes, err
}

// Destroy deletes everything that the stack manages.
func (s *Site) Destroy(ctx context.Context) error {
	release, err := s.LastRelease()
	if err != nil {
		return err
	}
	opened, err := s.prepare(ctx, "stack", release)
	if err != nil {
		return err
	}
	known, err := known(ctx, opened)
	if err != nil {
		return err
	}
	pruned, err := s.cloud.Prune(ctx, known)
	s.notePruned(pruned)
	if err != nil {
		return err
	}
	progress := stack.NewProgress(s.Log.out, io.Discard)
	return s.Log.Phase("destroy", func() error {
		_, err := opened.Destroy(ctx, optdestroy.EventStreams(progress.Listen()), optdestroy.SuppressProgress())
		progress.Done()
		return failure(err, progress)
	})
}

// failure makes the engine's own messages the error of a run. The Automation
// API's error repeats the command line and everything that was printed.
func failure(err error, progress *stack.Progress) error {
	if err == nil {
		return nil
	}
	if messages := progress.Errors(); len(messages) > 0 {
		return errors.New(wrapping.ReplaceAllString(messages[0], ""))
	}
	return err
}

// wrapping is what the SDK puts in front of a program's own error.
var wrapping = regexp.MustCompile(`^an unhandled error occurred: (\d+ errors? occurred:\s*\* )?`)

func (o *Outcome) read(outputs auto.OutputMap) error {
	o.Version, _ = outputs["version"].Value.(string)
	o.Image, _ = outputs["image"].Value.(string)
	keys, _ := outputs["publicKeys"].Value.([]any)
	for _, key := range keys {
		text, _ := key.(string)
		o.PublicKeys = append(o.PublicKeys, text)
	}
	raw, err := json.Marshal(outputs["gateways"].Value)
	if err != nil {
		return fmt.Errorf("reading the stack's outputs: %w", err)
	}
	gateways := map[string]Gateway{}
	if err := json.Unmarshal(raw, &gateways); err != nil {
		return fmt.Errorf("reading the stack's outputs: %w", err)
	}
	for name, gateway := range gateways {
		gateway.Name = name
		o.Gateways = append(o.Gateways, gateway)
	}
	slices.SortFunc(o.Gateways, func(a, b Gateway) int { return strings.Compare(a.Name, b.Name) })
	return nil
}
