package components

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components/workflows"
	"github.com/clawft/infra/internal/recorder"
)

const canary = "canary-7f3a9c"

func workflowInputs() workflows.Inputs {
	return workflows.Inputs{
		DefaultBranch: "main",
		Image:         "ghcr.io/clawft/clawft",
		Toolchain:     "1.93",
		Limits:        workflows.Limits{BinaryMiB: 10, WasmKiB: 300, WasmGzipKiB: 120, ImageMiB: 50},
		HealthTimeout: 30,
		Dockerfile:    "FROM scratch\n",
		Infra:         workflows.Infra{Repository: "clawft/infra", Ref: strings.Repeat("a", 40), Version: "v1.2.0"},
		Stack:         "prod",
	}
}

func repositoryArgs() *RepositoryArgs {
	return &RepositoryArgs{
		Owner:           "clawft",
		Name:            "clawft",
		Workflows:       workflowInputs(),
		Enforcement:     "active",
		RequiredReviews: 1,
		LinearHistory:   true,
		Bypass:          &Actor{Type: "Integration", ID: 4711},
		Environment:     EnvironmentArgs{Name: "prod", ReviewerUsers: []int{7}, ReviewerTeams: []int{8, 9}},
		Variables:       map[string]string{"PULUMI_BACKEND_URL": "s3://state"},
		Secrets:         pulumi.StringMap{"PULUMI_ACCESS_TOKEN": pulumi.String(canary)},
	}
}

// registerRepository runs a program of the component. GitHub has nothing, unless
// the recorder says otherwise.
func registerRepository(r *recorder.Recorder, change func(*RepositoryArgs)) error {
	if r.Functions == nil {
		r.Functions = hubOf(nil)
	}
	return r.Run(func(ctx *pulumi.Context) error {
		args := repositoryArgs()
		change(args)
		_, err := NewRepository(ctx, "repository", args)
		return err
	})
}

func unchanged(*RepositoryArgs) {}

const (
	fileType    = "github:index/repositoryFile:RepositoryFile"
	rulesetType = "github:index/repositoryRuleset:RepositoryRuleset"
)

func TestRequiredChecksAreTheJobsOfTheWorkflow(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	if err := registerRepository(record, unchanged); err != nil {
		t.Fatal(err)
	}
	workflow := record.Find(fileType, "repository-pr-gates").Inputs["content"].StringValue()
	ruleset := record.Find(rulesetType, "repository-default-branch")
	if err := sameNames(workflow, ruleset.Inputs); err != nil {
		t.Error(err)
	}

	for _, gate := range workflows.Gates {
		t.Run("renamed "+string(gate), func(t *testing.T) {
			renamed := strings.Replace(workflow, "\n  "+string(gate)+":\n", "\n  other:\n", 1)
			if renamed == workflow {
				t.Fatalf("the workflow has no job %s", gate)
			}
			if sameNames(renamed, ruleset.Inputs) == nil {
				t.Error("nobody noticed that a job was renamed and its old name is still required")
			}
		})
	}
}

var jobPattern = regexp.MustCompile(`(?m)^  ([a-z0-9-]+):$`)

// sameNames compares the jobs of a workflow with the checks of a ruleset.
func sameNames(workflow string, ruleset resource.PropertyMap) error {
	_, body, found := strings.Cut(workflow, "\njobs:\n")
	if !found {
		return errors.New("the workflow has no jobs")
	}
	var jobs, checks []string
	for _, match := range jobPattern.FindAllStringSubmatch(body, -1) {
		jobs = append(jobs, match[1])
	}
	rule := ruleset["rules"].ObjectValue()["requiredStatusChecks"].ObjectValue()
	for _, check := range rule["requiredChecks"].ArrayValue() {
		checks = append(checks, check.ObjectValue()["context"].StringValue())
	}
	if !slices.Equal(jobs, checks) {
		return fmt.Errorf("the workflow has the jobs %q, and the ruleset requires the checks %q", jobs, checks)
	}
	return nil
}

func TestRulesComeAfterTheFilesTheyWouldBlock(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	if err := registerRepository(record, unchanged); err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, recorded := range record.Resources() {
		if recorded.Type == fileType {
			files = append(files, recorded.Name)
		}
	}
	if len(files) != 6 {
		t.Fatalf("%d files: %q", len(files), files)
	}
	before := dependencies(record.Find(rulesetType, "repository-default-branch"))
	for _, file := range files {
		if !slices.Contains(before, file) {
			t.Errorf("the ruleset does not wait for %s, which it would block", file)
		}
		// What GitHub refuses because of the plan, it refuses before there is a commit.
		for _, name := range []string{"environment", "release-tags-only", "release-tags", "release-tags-creation"} {
			if !slices.Contains(dependencies(record.Find(fileType, file)), "repository-"+name) {
				t.Errorf("%s is written before %s was accepted", file, name)
			}
		}
	}
	if before := dependencies(record.Find(fileType, "repository-pr-gates")); !slices.Contains(before, "repository-smoke") {
		t.Errorf("pr-gates.yml is written before the script it runs; it waits for %q", before)
	}
}

func dependencies(r *recorder.Resource) []string {
	var names []string
	for _, urn := range r.Request.GetDependencies() {
		names = append(names, urn[strings.LastIndex(urn, "::")+2:])
	}
	return names
}

func TestWhatStaysWhenTheStackGoes(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	if err := registerRepository(record, unchanged); err != nil {
		t.Fatal(err)
	}
	for _, recorded := range record.Resources() {
		if !recorded.Custom {
			continue
		}
		stays := recorded.Request.GetRetainOnDelete()
		goes := strings.Contains(recorded.Type, "actions") // secrets and variables
		if stays == goes {
			t.Errorf("%s: retained on delete: %t", recorded.Name, stays)
		}
	}
}

func TestSecretsStaySecret(t *testing.T) {
	for _, preview := range []bool{false, true} {
		record := &recorder.Recorder{Stack: "prod", Preview: preview}
		if err := registerRepository(record, unchanged); err != nil {
			t.Fatal(err)
		}
		plan := record.Plan()
		if strings.Contains(plan, canary) {
			t.Errorf("the secret is in the plan (preview: %t):\n%s", preview, plan)
		}
		if !strings.Contains(plan, `value = "[secret]"`) {
			t.Errorf("the plan (preview: %t) has no secret:\n%s", preview, plan)
		}
	}
}

func TestRulesets(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*RepositoryArgs)
		ruleset string
		want    []string // paths in the inputs and their values
	}{
		{"pull request with review", unchanged, "default-branch", []string{
			`rules.pullRequest.requiredApprovingReviewCount = 1`,
			`rules.pullRequest.requireLastPushApproval = true`,
			`rules.pullRequest.allowedMergeMethods = [squash rebase]`,
			`rules.requiredLinearHistory = true`,
			`rules.requiredStatusChecks.strictRequiredStatusChecksPolicy = true`,
			`rules.nonFastForward = true`,
			`rules.deletion = true`,
			`rules.mergeQueue = <nil>`,
			`target = branch`,
			`enforcement = active`,
			`conditions.refName.includes = [~DEFAULT_BRANCH]`,
			`bypassActors = [Integration 4711 always]`,
		}},
		{"merge queue", func(a *RepositoryArgs) { a.MergeQueue, a.LinearHistory = true, false }, "default-branch", []string{
			`rules.mergeQueue.mergeMethod = MERGE`,
			`rules.requiredLinearHistory = false`,
			`rules.requiredStatusChecks.strictRequiredStatusChecksPolicy = false`,
			`rules.pullRequest.allowedMergeMethods = [merge squash rebase]`,
		}},
		{"merge queue with a linear history", func(a *RepositoryArgs) { a.MergeQueue = true }, "default-branch", []string{
			`rules.mergeQueue.mergeMethod = SQUASH`,
		}},
		{"only reporting at first", func(a *RepositoryArgs) { a.Enforcement = "evaluate" }, "default-branch", []string{
			`enforcement = evaluate`,
		}},
		{"disabled needs no bypass", func(a *RepositoryArgs) { a.Enforcement, a.Bypass = "disabled", nil }, "default-branch", []string{
			`enforcement = disabled`,
			`bypassActors = []`,
		}},
		{"no rulesets need none either", func(a *RepositoryArgs) { a.Enforcement, a.Bypass = NoRulesets, nil }, "", nil},
		{"tags are created by admins", unchanged, "release-tags-creation", []string{
			`rules.creation = true`,
			`target = tag`,
			`conditions.refName.includes = [refs/tags/v*]`,
			`bypassActors = [RepositoryRole 5 always]`,
		}},
		{"tags are created by a team", func(a *RepositoryArgs) { a.Releasers = []Actor{{Type: "Team", ID: 12, Mode: "exempt"}} }, "release-tags-creation", []string{
			`bypassActors = [Team 12 exempt]`,
		}},
		{"released tags stay what they are", unchanged, "release-tags", []string{
			`rules.update = true`,
			`rules.deletion = true`,
			`rules.nonFastForward = true`,
			`bypassActors = []`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := &recorder.Recorder{Stack: "prod"}
			if err := registerRepository(record, test.change); err != nil {
				t.Fatal(err)
			}
			if test.ruleset == "" {
				if names := record.Names(rulesetType); len(names) > 0 {
					t.Errorf("there are the rulesets %q", names)
				}
				return
			}
			inputs := record.Find(rulesetType, "repository-"+test.ruleset).Inputs
			for _, want := range test.want {
				path, _, _ := strings.Cut(want, " = ")
				if got := path + " = " + show(at(inputs, path)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}

func TestEnvironmentDeploysApprovedReleasesOnly(t *testing.T) {
	record := &recorder.Recorder{Stack: "prod"}
	if err := registerRepository(record, unchanged); err != nil {
		t.Fatal(err)
	}
	environment := record.Find("github:index/repositoryEnvironment:RepositoryEnvironment", "repository-environment").Inputs
	for path, want := range map[string]string{
		"environment":     "prod",
		"canAdminsBypass": "false",
		"reviewers":       "[users=[7] teams=[8 9]]",
		"deploymentBranchPolicy.customBranchPolicies": "true",
		"deploymentBranchPolicy.protectedBranches":    "false",
	} {
		got := show(at(environment, path))
		if path == "reviewers" {
			reviewers := at(environment, path).ArrayValue()[0].ObjectValue()
			got = fmt.Sprintf("[users=%s teams=%s]", show(reviewers["users"]), show(reviewers["teams"]))
		}
		if got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	policy := record.Find("github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy", "repository-release-tags-only").Inputs
	if got := show(policy["tagPattern"]); got != "v*" {
		t.Errorf("the environment is deployed from tags %s", got)
	}
}

func TestRepositoryRefusesWhatWouldLockItOut(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*RepositoryArgs)
		want   string
	}{
		{"nobody may bypass", func(a *RepositoryArgs) { a.Bypass = nil }, "the rulesets would block the stack's next update of a workflow file; name the stack's own identity as RepositoryArgs.Bypass"},
		{"bypass by pull request only", func(a *RepositoryArgs) { a.Bypass.Mode = "pull_request" }, `the bypass mode of Integration is "pull_request", which lets nobody write a file; give always or exempt`},
		{"workflows that cannot be rendered", func(a *RepositoryArgs) { a.Workflows.Infra.Ref = "main" }, `Infra.Ref is "main"; give a commit, 40 hexadecimal digits`},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := &recorder.Recorder{Stack: "prod"}
			err := registerRepository(record, test.change)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if record.Find("clawft:index:Repository", "repository") != nil {
				t.Error("something was registered before the arguments were checked")
			}
		})
	}
}

func at(inputs resource.PropertyMap, path string) resource.PropertyValue {
	value := resource.NewProperty(inputs)
	for key := range strings.SplitSeq(path, ".") {
		value = value.ObjectValue()[resource.PropertyKey(key)]
	}
	return value
}

func show(value resource.PropertyValue) string {
	switch {
	case value.IsArray():
		items := make([]string, len(value.ArrayValue()))
		for i, item := range value.ArrayValue() {
			items[i] = show(item)
		}
		return "[" + strings.Join(items, " ") + "]"
	case value.IsObject(): // a bypass actor
		actor := value.ObjectValue()
		return fmt.Sprintf("%s %s %s", show(actor["actorType"]), show(actor["actorId"]), show(actor["bypassMode"]))
	default:
		return fmt.Sprint(value.V)
	}
}
