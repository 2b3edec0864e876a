package workflows_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// grants are what each job's token may do at GitHub; nobody's may do more or less.
var grants = map[string][]string{
	"own/ci.yml ci":                  {"contents: read"},
	"own/preview.yml explain":        {},
	"own/preview.yml preview":        {"contents: read", "packages: read", "pull-requests: write"},
	"own/drift.yml drift":            {"contents: read", "packages: read"},
	"own/release.yml stack":          {},
	"own/release.yml deploy":         {"contents: read", "packages: write"},
	"gateway/pr-gates.yml clippy":    {"contents: read"},
	"gateway/pr-gates.yml test":      {"contents: read"},
	"gateway/pr-gates.yml wasm-size": {"contents: read"},
	// Its image stays on the runner.
	"gateway/pr-gates.yml binary-size":  {"contents: read"},
	"gateway/pr-gates.yml docker-smoke": {"contents: read"},
	"gateway/release.yml gates":         {"contents: read"},
	"gateway/release.yml deploy":        {"contents: read", "packages: write"},
}

// purposes are what the environments of a stack are named after its name, by the
// workflow that uses them.
var purposes = map[string]string{"own/release.yml": "", "own/preview.yml": "-preview", "own/drift.yml": "-drift"}

const (
	// byMatrix and byLookup are the only ways to name an environment.
	byMatrix = "${{ matrix.environment }}"
	byLookup = "${{ needs.stack.outputs.environment }}"
)

// stacks are those that this repository has a file for. The lab's exists on one
// machine only.
func stacks(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../Pulumi.*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml")
		if name != "lab" {
			names = append(names, name)
		}
	}
	if len(names) < 2 {
		t.Fatalf("the stacks are %q", names)
	}
	return names
}

// distrust is what lets a job of a workflow read, or hand on, what it should not.
func distrust(t *testing.T, name string, top *yaml.Node) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	triggers := field(top, "on")

	for _, event := range []string{"workflow_dispatch", "workflow_call"} {
		for input, body := range pairs(field(field(triggers, event), "inputs")) {
			if strings.Contains(input, "environment") {
				say("%s names an environment", event)
			}
			if input != "stack" || event != "workflow_dispatch" {
				continue
			}
			var options []string
			for _, option := range items(field(body, "options")) {
				options = append(options, option.Value)
			}
			if value(body, "type") != "choice" || !slices.Equal(options, stacks(t)) {
				say("the stack is a %s of %q, and the stacks are %q", value(body, "type"), options, stacks(t))
			}
		}
	}

	for job, body := range pairs(field(top, "jobs")) {
		permissions := field(body, "permissions")
		if permissions == nil {
			say("job %s does not state its permissions", job)
		}
		granted := []string{}
		for key, level := range pairs(permissions) {
			granted = append(granted, key+": "+level.Value)
		}
		if want, ok := grants[name+" "+job]; !ok || !slices.Equal(granted, want) {
			say("job %s has the permissions %q, and %q were meant", job, granted, want)
		}
		reads := strings.Contains(source(body), "secrets.")
		environment := value(body, "environment")
		if reads && environment == "" {
			say("job %s reads secrets outside of an environment", job)
		}
		caches := cachesOf(body)
		for _, cache := range caches {
			if reads || environment != "" || strings.HasSuffix(name, "/release.yml") {
				say("job %s has secrets, or releases, and uses what another run left: %s", job, cache)
			}
		}
		for _, writer := range cacheWriters(body) {
			say("job %s: any run writes a cache that others read: %s", job, writer)
		}
		if environment == "" {
			continue
		}
		for _, violation := range environmentViolations(t, name, top, body, environment) {
			say("job %s: %s", job, violation)
		}
		for event := range pairs(triggers) {
			if !slices.Contains([]string{"push", "schedule", "workflow_dispatch", "workflow_call", "pull_request"}, event) {
				say("job %s has secrets on %s", job, event)
			}
		}
		if field(field(triggers, "push"), "branches") != nil || (field(triggers, "push") != nil && field(field(triggers, "push"), "tags") == nil) {
			say("job %s has secrets on pushes to branches", job)
		}
		if field(triggers, "pull_request") != nil {
			for _, condition := range []string{
				"github.event.pull_request.head.repo.full_name == github.repository", "github.event.pull_request.user.login != 'dependabot[bot]'",
			} {
				if !slices.Contains(strings.Split(value(body, "if"), " && "), condition) {
					say("job %s has secrets without %s", job, condition)
				}
			}
		}
		group := value(field(body, "concurrency"), "group")
		if !strings.Contains(group, "${{ matrix.stack }}") && !strings.Contains(group, "${{ needs.stack.outputs.name }}") {
			say("job %s is in the concurrency group %q, which is not its stack's", job, group)
		}
	}
	return found
}

// environmentViolations are why a job's environment could be another than its
// stack's.
func environmentViolations(t *testing.T, name string, top, body *yaml.Node, environment string) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	purpose, ok := purposes[name]
	if !ok {
		say("no environment is made for %s", name)
	}
	switch environment {
	case byMatrix:
		want, got := map[string]string{}, map[string]string{}
		for _, stack := range stacks(t) {
			want[stack] = stack + purpose
		}
		for _, pair := range items(field(field(field(body, "strategy"), "matrix"), "include")) {
			got[value(pair, "stack")] = value(pair, "environment")
		}
		if !maps.Equal(got, want) {
			say("the environments are %q, want %q", got, want)
		}
		for key := range pairs(field(field(body, "strategy"), "matrix")) {
			if key != "include" {
				say("the matrix has %s beside the list of environments", key)
			}
		}
	case byLookup:
		if value(body, "needs") != "stack" {
			say("it does not wait for the lookup of its environment")
		}
		if condition := value(body, "if"); condition != "" {
			say("it may run though the lookup failed, because of its condition %s", condition)
		}
		lookup := field(field(top, "jobs"), "stack")
		if strings.Contains(source(lookup), "secrets.") || field(lookup, "environment") != nil {
			say("secrets are in reach before the environment is known")
		}
		for _, output := range []string{"name", "environment"} {
			if got, want := value(field(lookup, "outputs"), output), "${{ steps.known.outputs."+output+" }}"; got != want {
				say("the lookup's %s is %s", output, got)
			}
		}
		found = append(found, lookupViolations(t, lookup, purpose)...)
	default:
		say("the environment %q comes from nowhere", environment)
	}
	return found
}

// lookups are the violations of the scripts that were run already.
var lookups = map[string][]string{}

// lookupViolations runs the script that knows the environments.
func lookupViolations(t *testing.T, lookup *yaml.Node, purpose string) (found []string) {
	script := ""
	for _, step := range items(field(lookup, "steps")) {
		script += value(step, "run")
	}
	if known, ok := lookups[script]; ok {
		return known
	}
	defer func() { lookups[script] = found }()
	known := stacks(t)
	for _, stack := range append([]string{
		"", "lab", "staging", "PROD", "prod ", " prod", "prod-preview", "prod-drift", "*", "p*", "[a-z]rod", "dev|prod", "dev | prod",
		"prod\nenvironment=other", "$(id)", "-n", "production",
	}, known...) {
		output := filepath.Join(t.TempDir(), "output")
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "STACK=" + stack, "REF=" + strings.Repeat("a", 40), "GITHUB_OUTPUT=" + output}
		err := cmd.Run()
		written, _ := os.ReadFile(output) // absent is nothing
		want := ""
		if slices.Contains(known, stack) {
			want = "name=" + stack + "\nenvironment=" + stack + purpose + "\n"
		}
		if string(written) != want || (err == nil) != (want != "") {
			found = append(found, fmt.Sprintf("the lookup of %q ends with %v and says %q", stack, err, written))
		}
	}
	for _, ref := range []string{"main", "v1.2.0", strings.Repeat("a", 39), strings.Repeat("a", 41), "refs/heads/main", strings.Repeat("a", 40) + "\nx"} {
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "STACK=" + known[0], "REF=" + ref, "GITHUB_OUTPUT=/dev/null"}
		if cmd.Run() == nil {
			found = append(found, fmt.Sprintf("the lookup takes %q for a commit", ref))
		}
	}
	return found
}

// cachesOf are the ways in which a job gets something that an earlier run left.
func cachesOf(body *yaml.Node) []string {
	var found []string
	for _, step := range items(field(body, "steps")) {
		uses := value(step, "uses")
		with := field(step, "with")
		switch {
		case strings.HasPrefix(uses, "actions/cache"):
			found = append(found, uses)
		case strings.HasPrefix(uses, "actions/setup-") && value(with, "cache") != "false":
			found = append(found, uses+" without cache: false")
		}
	}
	for _, pattern := range []string{"type=gha", "ACTIONS_RUNTIME_TOKEN", "download-artifact"} {
		if strings.Contains(source(body), pattern) {
			found = append(found, pattern)
		}
	}
	return found
}

var onlyDefaultBranch = regexp.MustCompile(`^github\.ref == 'refs/heads/main'$`)

// cacheWriters are the steps that write a cache also in runs that are not of the
// default branch.
func cacheWriters(body *yaml.Node) []string {
	var found []string
	for _, step := range items(field(body, "steps")) {
		uses, with := value(step, "uses"), field(step, "with")
		switch {
		case strings.HasPrefix(uses, "actions/cache/restore@"):
		case strings.HasPrefix(uses, "actions/cache"):
			if !onlyDefaultBranch.MatchString(value(step, "if")) {
				found = append(found, uses)
			}
		case strings.HasPrefix(uses, "actions/setup-") && value(with, "cache") != "false":
			found = append(found, uses)
		}
		if to := value(with, "cache-to"); to != "" && !strings.HasPrefix(to, "${{ github.ref == 'refs/heads/main' && ") {
			found = append(found, to)
		}
	}
	return found
}

// value is a scalar of a mapping, or "".
func value(node *yaml.Node, key string) string {
	if found := field(node, key); found != nil {
		return found.Value
	}
	return ""
}

func items(node *yaml.Node) []*yaml.Node {
	if node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	return node.Content
}
