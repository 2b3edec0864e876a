package workflows_test

import (
	"bytes"
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

// places are where a secret or variable is kept, by "secret NAME" or "variable NAME":
// the environments of a stack S, or the repository.
type places map[string][]string

func (p places) add(name string, at ...string) {
	p[name] = append(p[name], at...)
	slices.Sort(p[name])
	p[name] = slices.Compact(p[name])
}

var contextPattern = regexp.MustCompile(`\b(secrets|vars)\.([A-Za-z0-9_]+)|\b(secrets|vars)\[`)

// read are the places in which workflows look.
func read(t *testing.T) places {
	t.Helper()
	found := places{}
	take := func(workflow, at, text string) {
		for _, match := range contextPattern.FindAllStringSubmatch(text, -1) {
			switch name := match[2]; {
			case match[3] != "":
				t.Errorf("%s computes a name of %s, so that nobody can tell what it reads", workflow, match[3])
			case name == "GITHUB_TOKEN": // GitHub's own
			case match[1] == "vars":
				// An environment's would do too, and the repository's does for all.
				found.add("variable "+name, "repository")
			default:
				found.add("secret "+name, at)
			}
		}
	}
	for workflow, text := range everyWorkflow(t) {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatal(err)
		}
		for key, part := range pairs(document.Content[0]) {
			if key != "jobs" {
				take(workflow, "repository", source(part))
				continue
			}
			for _, job := range pairs(part) {
				at := "repository"
				if value(job, "environment") != "" {
					at = "S" + purposes[workflow]
				}
				take(workflow, at, source(job))
			}
		}
	}
	return found
}

// section is what stands below a heading of docs/github.md.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/github.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n### "+heading+"\n")
	if !found {
		t.Fatalf("docs/github.md has no section %q", heading)
	}
	if end := strings.Index(after, "\n#"); end >= 0 {
		after = after[:end]
	}
	return after
}

var (
	namePattern  = regexp.MustCompile("`([A-Z][A-Z0-9_]*)`")
	placePattern = regexp.MustCompile("`(S[a-z-]*)`|(repository)")
)

// documented are the places that docs/github.md tells.
func documented(t *testing.T) places {
	t.Helper()
	found := places{}
	for line := range strings.Lines(section(t, "What the workflows read")) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !namePattern.MatchString(cells[1]) {
			continue
		}
		kind := strings.TrimSuffix(strings.Fields(cells[1])[0], "s")
		for _, name := range namePattern.FindAllStringSubmatch(cells[1], -1) {
			for _, place := range placePattern.FindAllStringSubmatch(cells[2], -1) {
				found.add(kind+" "+name[1], place[1]+place[2])
			}
		}
	}
	return found
}

func TestDocsTellWhereWorkflowsLook(t *testing.T) {
	read, documented := read(t), documented(t)
	if len(read) < 8 {
		t.Fatalf("the workflows read no more than %v", read)
	}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		if !slices.Equal(read[name], documented[name]) {
			t.Errorf("workflows look for the %s in %q, and docs/github.md says %q", name, read[name], documented[name])
		}
	}
	for name := range documented {
		if _, ok := read[name]; !ok {
			t.Errorf("docs/github.md has the %s, which no workflow reads", name)
		}
	}
}

// recordedGH writes down what it is told. It knows what the documented commands
// need, in the form in which they give it, and nothing else.
const recordedGH = `#!/bin/bash
set -eu
if [[ "$*" == "api users/NAME --jq .id" ]]; then echo 4711; exit; fi
case "$*" in
"api --method PUT "*" --input -") echo "PUT $4 $(jq -cS .)" ;;
"api --method POST "*) echo "POST $4 ${*:5}" ;;
"secret set "*" --repo OWNER/infra --env "*) echo "secret $3 $7" ;;
"variable set "*" --repo OWNER/infra") echo "variable $3 repository" ;;
*) echo "gh $*: unknown here" >&2; exit 1 ;;
esac | tee -a "$RECORD"
`

func TestDocumentedCommandsSetUpEverything(t *testing.T) {
	_, commands, _ := strings.Cut(section(t, "What the workflows read"), "\n```\n")
	commands, _, _ = strings.Cut(commands, "\n```\n")
	dir := t.TempDir()
	record := filepath.Join(dir, "record")
	write(t, filepath.Join(dir, "gh"), []byte(recordedGH))
	if err := os.Chmod(filepath.Join(dir, "gh"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "RECORD="+record)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	const (
		at        = " repos/OWNER/infra/environments/prod"
		selected  = `"deployment_branch_policy":{"custom_branch_policies":true,"protected_branches":false}`
		reviewers = `"reviewers":[{"id":4711,"type":"User"}]`
	)
	want := []string{
		"PUT" + at + " {" + selected + "," + reviewers + "}",
		"POST" + at + "/deployment-branch-policies -f type=tag -f name=v*",
		"POST" + at + "/deployment-branch-policies -f type=branch -f name=main",
		`PUT` + at + `-preview {"prevent_self_review":true,` + reviewers + "}",
		"PUT" + at + "-drift {" + selected + "}",
		"POST" + at + "-drift/deployment-branch-policies -f type=branch -f name=main",
	}
	for name, places := range read(t) {
		for _, place := range places {
			if purpose, ok := strings.CutPrefix(place, "S"); ok {
				place = "prod" + purpose
			}
			want = append(want, name+" "+place)
		}
	}
	recorded, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(recorded)), "\n")
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("the commands lack: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("the commands set up what nothing needs: %s", line)
		}
	}
	made := map[string]bool{"repository": true}
	for _, line := range got {
		fields := strings.Fields(line)
		name := fields[len(fields)-1] // of a secret or a variable
		if path, ok := strings.CutPrefix(fields[1], "repos/OWNER/infra/environments/"); ok {
			name, _, _ = strings.Cut(path, "/")
			made[name] = made[name] || fields[0] == "PUT"
		}
		if !made[name] {
			t.Errorf("%s is not there yet for: %s", name, line)
		}
	}
}

var (
	shellVariable = regexp.MustCompile(`\$\{?([A-Z][A-Z0-9_]*)`)
	scriptPath    = regexp.MustCompile(`\.github/scripts/([a-z-]+\.(?:sh|jq))`)
)

// scriptReads adds the variables that a script reads, with the scripts that it runs.
func scriptReads(t *testing.T, script string, found map[string]bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../.github/scripts", script))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range shellVariable.FindAllSubmatch(text, -1) {
		if name := string(match[1]); !strings.HasPrefix(name, "GITHUB_") && !strings.HasPrefix(name, "RUNNER_") && name != "BASH_SOURCE" && name != "PWD" {
			found[name] = true
		}
	}
	for _, match := range scriptPath.FindAllSubmatch(text, -1) {
		if other := string(match[1]); other != script {
			scriptReads(t, other, found)
		}
	}
}

func TestStepsGiveScriptsWhatTheyRead(t *testing.T) {
	checked := 0
	for workflow, text := range everyWorkflow(t) {
		var document yaml.Node
		if err := yaml.NewDecoder(bytes.NewReader([]byte(text))).Decode(&document); err != nil {
			t.Fatal(err)
		}
		for job, body := range pairs(field(document.Content[0], "jobs")) {
			for _, step := range items(field(body, "steps")) {
				for _, script := range scriptPath.FindAllStringSubmatch(value(step, "run"), -1) {
					names := map[string]bool{}
					scriptReads(t, script[1], names)
					for name := range names {
						checked++
						if field(field(body, "env"), name) == nil && field(field(step, "env"), name) == nil {
							t.Errorf("%s %s: %s reads %s, which the step does not give it", workflow, job, script[1], name)
						}
					}
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no script reads anything")
	}
}
