package workflows_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/clawft/infra/lab/toolchain"
)

// inherits are the only jobs that pass on secrets that they do not name.
var inherits = []string{"gateway/release.yml deploy"}

func TestWorkflowsKeepThePolicy(t *testing.T) {
	for name, text := range everyWorkflow(t) {
		for _, violation := range violations(t, name, text) {
			t.Errorf("%s: %s", name, violation)
		}
	}
}

func TestPolicyNoticesPlantedViolations(t *testing.T) {
	texts := everyWorkflow(t)
	const checkout = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
	for _, test := range []struct {
		name, workflow, old, planted, want string
	}{
		{"action by tag", "own/ci.yml", checkout, "actions/checkout@v7", "actions/checkout@v7 is not pinned to a commit"},
		{"action by short commit", "own/ci.yml", checkout, "actions/checkout@3d3c42e # v7.0.1", "is not pinned to a commit"},
		{"pin without a version", "gateway/pr-gates.yml", checkout, "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "has no version as a comment"},
		{"called workflow by branch", "gateway/release.yml", "@" + strings.Repeat("c", 40) + " # v1.2.0", "@main", "release.yml@main is not pinned to a commit"},
		{"image by tag", "own/ci.yml", checkout, "docker://alpine:3", "docker://alpine:3 is not pinned to a digest"},
		{"no permissions", "own/preview.yml", "permissions: {}\n", "", "no permissions at the top"},
		{"write for every job", "own/release.yml", "permissions: {}\n", "permissions:\n  contents: write\n", "every job may write contents"},
		{"all permissions", "own/drift.yml", "permissions: {}\n", "permissions: write-all\n", "permissions are \"write-all\""},
		{"one write too many", "own/release.yml", "packages: write # the image", "packages: write\n      id-token: write", `job deploy has the permissions ["contents: read" "packages: write" "id-token: write"]`},
		{"credentials left on disk", "gateway/pr-gates.yml", "persist-credentials: false", "fetch-depth: 1", "leaves its credentials"},
		{"title of a pull request in a script", "own/preview.yml", `echo "::notice title=No preview::$note"`, `echo "${{ github.event.pull_request.title }}"`, "expands github.event.pull_request.title in a script"},
		{"input in a script", "own/release.yml", `"$STACK" "$VERSION"`, `"$STACK" "${{ inputs.version }}"`, "expands inputs.version in a script"},
		{"expression in github-script", "own/release.yml", "- name: Update the stack", "- uses: actions/github-script@ed597411d8f924073f98dfc5c65a23a2325f34cd # v8.0.0\n        with:\n          script: core.info('${{ github.head_ref }}')\n      - name: Update the stack", "expands github.head_ref in a script"},
		{"code of a fork with secrets", "own/preview.yml", "  pull_request:\n", "  pull_request_target:\n", "runs on pull_request_target"},
		{"secrets for everybody's pull request", "own/preview.yml", "    if: github.event.pull_request.head.repo.full_name == github.repository &&", "    if: github.event_name == 'pull_request' &&", "has secrets without github.event.pull_request.head.repo.full_name == github.repository"},
		{"secrets for a fork after all", "own/preview.yml", "== github.repository && github.event.pull_request.user.login", "== github.repository || github.event.pull_request.user.login", "has secrets without github.event.pull_request.head.repo.full_name == github.repository"},
		{"secrets for Dependabot", "own/preview.yml", " && github.event.pull_request.user.login != 'dependabot[bot]'", "", "has secrets without github.event.pull_request.user.login"},
		{"secrets of the repository", "own/drift.yml", "    environment: ${{ matrix.environment }}\n", "", "reads secrets outside of an environment"},
		{"secrets in a job that needs none", "own/ci.yml", "    steps:\n", "    steps:\n      - run: echo \"$TOKEN\"\n        env: {TOKEN: '${{ secrets.TOKEN }}'}\n", "job ci reads secrets outside of an environment"},
		{"secrets of the environment that releases", "own/preview.yml", "environment: prod-preview", "environment: prod", "the environments are"},
		{"an environment for nobody", "own/drift.yml", "          - {stack: dev, environment: dev-drift}\n", "", "the environments are"},
		{"an environment of a made-up name", "own/preview.yml", byMatrix, "preview-${{ github.head_ref }}", "comes from nowhere"},
		{"an environment that somebody types", "own/release.yml", "environment: ${{ needs.stack.outputs.environment }}", "environment: ${{ inputs.stack }}", "comes from nowhere"},
		{"an environment as an input", "own/release.yml", "      infra-ref:\n", "      environment: {type: string, required: true}\n      infra-ref:\n", "workflow_call names an environment"},
		{"a stack as free text", "own/release.yml", "type: choice", "type: string", "the stack is a string"},
		{"a stack that there is no file of", "own/release.yml", "options: [dev, prod]", "options: [dev, prod, staging]", "and the stacks are"},
		{"a lookup that knows too much", "own/release.yml", "dev) environment=dev ;;", "dev*) environment=$STACK ;;\n            p*) environment=$STACK ;;", `the lookup of "prod-preview"`},
		{"a lookup that lets pass", "own/release.yml", `; exit 1 ;;`, ` ;;`, `the lookup of "staging"`},
		{"a lookup that nobody waits for", "own/release.yml", "    needs: stack\n", "", "does not wait for the lookup"},
		{"a lookup whose failure does not count", "own/release.yml", "    needs: stack\n", "    needs: stack\n    if: always()\n", "may run though the lookup failed"},
		{"a branch for a commit", "own/release.yml", `if [[ ! $REF =~ ^[0-9a-f]{40}$ ]]`, `if [[ -z $REF ]]`, `the lookup takes "main" for a commit`},
		{"secrets on every push", "own/drift.yml", "  workflow_dispatch:\n", "  workflow_dispatch:\n  push:\n", "has secrets on pushes to branches"},
		{"secrets on what a stranger starts", "own/drift.yml", "  workflow_dispatch:\n", "  workflow_dispatch:\n  watch:\n", "has secrets on watch"},
		{"releases of all stacks in one queue", "own/release.yml", "group: stack-${{ needs.stack.outputs.name }}", "group: deploy", "which is not its stack's"},
		{"a cache in a release", "own/release.yml", "cache: false", "cache: true", "uses what another run left: actions/setup-go"},
		{"a cache of layers in a release", "own/release.yml", "    env:\n      STACK", "    env:\n      CACHE: type=gha\n      STACK", "uses what another run left: type=gha"},
		{"a cache beside secrets", "own/preview.yml", "          cache: false\n", "", "uses what another run left: actions/setup-go"},
		{"a cache that a pull request writes", "own/ci.yml", "        if: github.ref == 'refs/heads/main'\n", "", "any run writes a cache"},
		{"a cache that pull requests share", "gateway/pr-gates.yml", "actions/cache/restore@", "actions/cache@", "any run writes a cache"},
		{"layers that a pull request writes", "gateway/pr-gates.yml", "${{ github.ref == 'refs/heads/main' && 'type=gha,scope=docker-smoke,mode=max' || '' }}", "type=gha,scope=docker-smoke,mode=max", "any run writes a cache"},
		{"default permissions", "own/preview.yml", "    timeout-minutes: 5\n    permissions: {}\n", "    timeout-minutes: 5\n", "job explain does not state its permissions"},
		{"secrets for the whole job", "own/drift.yml", "    strategy:\n", "    env:\n      TOKEN: ${{ secrets.TOKEN }}\n    strategy:\n", "gives secrets to every step"},
		{"secrets passed on", "gateway/release.yml", "    uses: ./.github/workflows/pr-gates.yml\n", "    uses: ./.github/workflows/pr-gates.yml\n    secrets: inherit\n", "job gates passes on every secret"},
		{"no time limit", "own/ci.yml", "    timeout-minutes: 90\n", "", "job ci has no time limit"},
		{"cancelled release", "own/release.yml", "cancel-in-progress: false", "cancel-in-progress: true", "a deployment can be cancelled midway"},
		{"fork that cancels others", "gateway/pr-gates.yml", "group: pr-gates-${{ github.event.pull_request.number || github.run_id }}", "group: pr-gates-${{ github.head_ref || github.run_id }}", "concurrency group has a name that a fork chooses"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := texts[test.workflow]
			planted := strings.Replace(text, test.old, test.planted, 1)
			if planted == text {
				t.Fatalf("%s has no %q to replace", test.workflow, test.old)
			}
			found := violations(t, test.workflow, planted)
			if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, test.want) }) {
				t.Errorf("the policy found %q, want one that says %q", found, test.want)
			}
		})
	}
}

var (
	pinPattern        = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+(/[A-Za-z0-9._/-]+)?@[0-9a-f]{40}$`)
	versionPattern    = regexp.MustCompile(`^# v[0-9]+(\.[0-9]+)*`)
	expressionPattern = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)
)

// violations are what is wrong with a workflow.
func violations(t *testing.T, name, text string) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return []string{err.Error()}
	}
	top := document.Content[0]

	triggers := field(top, "on")
	for _, trigger := range []string{"pull_request_target", "workflow_run", "issue_comment"} {
		if field(triggers, trigger) != nil {
			say("it runs on %s, with secrets and with what a stranger wrote", trigger)
		}
	}
	if permissions := field(top, "permissions"); permissions == nil {
		say("no permissions at the top: every job has the default ones")
	} else if permissions.Kind == yaml.ScalarNode {
		say("permissions are %q; list them", permissions.Value)
	} else {
		for key, value := range pairs(permissions) {
			if value.Value != "read" && value.Value != "none" {
				say("every job may write %s; grant it to the one that needs it", key)
			}
		}
	}
	found = append(found, distrust(t, name, top)...)
	concurrencies := []*yaml.Node{field(top, "concurrency")}
	for _, body := range pairs(field(top, "jobs")) {
		concurrencies = append(concurrencies, field(body, "concurrency"))
	}
	for _, concurrency := range concurrencies {
		if concurrency == nil {
			continue
		}
		if strings.Contains(value(concurrency, "group"), "head_ref") {
			say("the concurrency group has a name that a fork chooses")
		}
		if strings.HasSuffix(name, "/release.yml") && value(concurrency, "cancel-in-progress") != "false" {
			say("a deployment can be cancelled midway")
		}
	}

	for job, body := range pairs(field(top, "jobs")) {
		if permissions := field(body, "permissions"); permissions != nil {
			if permissions.Kind == yaml.ScalarNode {
				say("job %s: permissions are %q; list them", job, permissions.Value)
			}
		}
		if uses := field(body, "uses"); uses != nil {
			found = append(found, pin(uses)...)
		} else if field(body, "timeout-minutes") == nil {
			say("job %s has no time limit", job)
		}
		if secrets := field(body, "secrets"); secrets != nil && secrets.Value == "inherit" && !slices.Contains(inherits, name+" "+job) {
			say("job %s passes on every secret", job)
		}
		if env := field(body, "env"); env != nil && strings.Contains(source(env), "secrets.") {
			say("job %s gives secrets to every step", job)
		}
		steps := field(body, "steps")
		if steps == nil {
			continue
		}
		for _, step := range steps.Content {
			uses, with := field(step, "uses"), field(step, "with")
			if uses != nil {
				found = append(found, pin(uses)...)
				if persist := field(with, "persist-credentials"); strings.HasPrefix(uses.Value, "actions/checkout@") && (persist == nil || persist.Value != "false") {
					say("job %s: the checkout leaves its credentials to every later step", job)
				}
			}
			for _, script := range []*yaml.Node{field(step, "run"), field(with, "script")} {
				if script == nil {
					continue
				}
				for _, match := range expressionPattern.FindAllStringSubmatch(script.Value, -1) {
					say("job %s expands %s in a script; pass it by the environment", job, match[1])
				}
			}
		}
	}
	return found
}

// pin tells what is wrong with a reference to an action or a workflow.
func pin(uses *yaml.Node) []string {
	switch value := uses.Value; {
	case strings.HasPrefix(value, "./"):
		return nil
	case strings.HasPrefix(value, "docker://"):
		if !strings.Contains(value, "@sha256:") {
			return []string{value + " is not pinned to a digest"}
		}
	case !pinPattern.MatchString(value):
		return []string{value + " is not pinned to a commit"}
	case !versionPattern.MatchString(uses.LineComment):
		return []string{value + " has no version as a comment"}
	}
	return nil
}

// field is a value of a mapping, or nil.
func field(node *yaml.Node, key string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

func pairs(node *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if node == nil || node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < len(node.Content); i += 2 {
			if !yield(node.Content[i].Value, node.Content[i+1]) {
				return
			}
		}
	}
}

func source(node *yaml.Node) string {
	text, err := yaml.Marshal(node)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestOneActionHasOneVersion(t *testing.T) {
	pins := map[string]string{}
	pattern := regexp.MustCompile(`uses: ([A-Za-z0-9-]+/[A-Za-z0-9._-]+)(?:/[a-z]+)?@([0-9a-f]{40} # \S+)`)
	for name, text := range everyWorkflow(t) {
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			action, version := match[1], match[2]
			if other, ok := pins[action]; ok && other != version {
				t.Errorf("%s is at %s in %s and at %s elsewhere", action, version, name, other)
			}
			pins[action] = version
		}
	}
	if len(pins) < 7 {
		t.Errorf("only %d actions were found: %v", len(pins), pins)
	}
}

// The templates are valid YAML before they are rendered: Dependabot reads them.
func TestTemplatesAreYAML(t *testing.T) {
	for _, name := range []string{"pr-gates.yml", "release.yml"} {
		text, err := os.ReadFile(filepath.Join("../../components/workflows", name))
		if err != nil {
			t.Fatal(err)
		}
		var document struct {
			Jobs map[string]any `yaml:"jobs"`
		}
		if err := yaml.Unmarshal(text, &document); err != nil || len(document.Jobs) == 0 {
			t.Errorf("%s: %d jobs, %v", name, len(document.Jobs), err)
		}
	}
}

func TestActionlint(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	linter, err := toolchain.Ensure(t.Context(), root, toolchain.Actionlint, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Fatalf("looking for shellcheck, which reads the scripts in workflows: %v; install it", err)
	}
	lint := func(t *testing.T, texts map[string]string) (string, error) {
		t.Helper()
		dir := t.TempDir()
		if out, err := exec.Command("git", "init", "--quiet", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		args := []string{"-no-color", "-shellcheck", shellcheck}
		for name, text := range texts {
			path := filepath.Join(dir, ".github/workflows", filepath.Base(name))
			write(t, path, []byte(text))
			args = append(args, path)
		}
		cmd := exec.Command(linter, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	repositories := map[string]map[string]string{"own": {}, "gateway": {}}
	for name, text := range everyWorkflow(t) {
		repository, _, _ := strings.Cut(name, "/")
		repositories[repository][name] = text
	}
	for repository, texts := range repositories {
		t.Run(repository, func(t *testing.T) {
			if out, err := lint(t, texts); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for _, test := range []struct{ name, old, planted, want string }{
		{"unknown event", "  merge_group:\n", "  merge_groups:\n", `unknown Webhook event "merge_groups"`},
		{"unknown job", "    runs-on: ubuntu-latest\n", "    runs-on: ubuntu-latest\n    needs: nobody\n", `needs job "nobody" which does not exist`},
		{"unquoted variable", `bash .github/gates/smoke.sh "$IMAGE"`, `bash .github/gates/smoke.sh $IMAGE`, "shellcheck reported issue"},
		{"unknown context", "${{ steps.version.outputs.version }}", "${{ steps.versoin.outputs.version }}", `property "versoin" is not defined`},
	} {
		t.Run("planted "+test.name, func(t *testing.T) {
			text := repositories["gateway"]["gateway/pr-gates.yml"]
			planted := strings.Replace(text, test.old, test.planted, 1)
			if planted == text {
				t.Fatalf("no %q to replace", test.old)
			}
			out, err := lint(t, map[string]string{"pr-gates.yml": planted})
			if err == nil || !strings.Contains(out, test.want) {
				t.Errorf("actionlint said %v, want %q:\n%s", err, test.want, out)
			}
		})
	}
}
