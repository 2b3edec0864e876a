package workflows_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestReleaseTags(t *testing.T) {
	texts := everyWorkflow(t)
	for _, workflow := range []string{"gateway/release.yml", "own/release.yml"} {
		t.Run(workflow, func(t *testing.T) {
			var document struct {
				On struct {
					Push struct{ Tags, Branches []string }
				}
			}
			if err := yaml.Unmarshal([]byte(texts[workflow]), &document); err != nil {
				t.Fatal(err)
			}
			patterns := document.On.Push.Tags
			if len(patterns) != 2 || len(document.On.Push.Branches) != 0 {
				t.Fatalf("it runs on the tags %q and the branches %q", patterns, document.On.Push.Branches)
			}
			for _, tag := range []string{
				"v0.6.19", "v1.0.0", "v10.20.30", "v0.0.1-test", "v1.0.0-rc.1", "v1.0.0-alpha", "v2.0.0-beta.11.x",
			} {
				if !matches(patterns, tag) {
					t.Errorf("%s is a release and runs nothing", tag)
				}
			}
			for _, tag := range []string{
				"1.0.0", "v1", "v1.0", "v1.0.0.0", "v1.0.x", "va.b.c", "v1.0.0rc1", "v1.0.0_1", "v1.0.0+build",
				"V1.0.0", "x-v1.0.0", "release/v1.0.0", "v1.0.0/extra", "v1.0.0-rc/1", "v-1.0.0", "latest", "v",
			} {
				if matches(patterns, tag) {
					t.Errorf("%s is no release and is deployed", tag)
				}
			}
		})
	}
}

func TestGatesRunOnPullRequestsToTheDefaultBranch(t *testing.T) {
	var document struct {
		On map[string]struct{ Branches []string }
	}
	if err := yaml.Unmarshal([]byte(everyWorkflow(t)["gateway/pr-gates.yml"]), &document); err != nil {
		t.Fatal(err)
	}
	branches := document.On["pull_request"].Branches
	for branch, want := range map[string]bool{"main": true, "master": false, "main2": false, "feature/main": false} {
		if matches(branches, branch) != want {
			t.Errorf("pull requests to %s: %t", branch, !want)
		}
	}
	for _, event := range []string{"merge_group", "workflow_call"} {
		if _, ok := document.On[event]; !ok {
			t.Errorf("the gates do not run on %s", event)
		}
	}
	// A path filter would leave a required check pending for ever.
	if strings.Contains(everyWorkflow(t)["gateway/pr-gates.yml"], "paths") {
		t.Error("the gates are filtered by path")
	}
}

// matches applies GitHub's filter patterns, in which ? and + repeat what is
// before them and * stops at a slash.
func matches(patterns []string, name string) bool {
	replacer := strings.NewReplacer(
		"**", ".*", "*", "[^/]*", "+", "+", "?", "?", "[", "[", "]", "]", ".", `\.`, "(", `\(`, ")", `\)`, "|", `\|`, "$", `\$`, "^", `\^`)
	for _, pattern := range patterns {
		if regexp.MustCompile("^" + replacer.Replace(pattern) + "$").MatchString(name) {
			return true
		}
	}
	return false
}

// The CLI and the SDK that the program is built with belong together.
func TestPulumiIsTheVersionOfTheSDK(t *testing.T) {
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`github\.com/pulumi/pulumi/sdk/v3 v(\S+)`).FindSubmatch(module)
	if match == nil {
		t.Fatal("go.mod does not require pulumi/sdk/v3")
	}
	pattern := regexp.MustCompile(`pulumi-version: (\S+)`)
	found := 0
	for name, text := range everyWorkflow(t) {
		for _, version := range pattern.FindAllStringSubmatch(text, -1) {
			found++
			if version[1] != string(match[1]) {
				t.Errorf("%s installs pulumi %s, and go.mod has the SDK %s", name, version[1], match[1])
			}
		}
	}
	if found != 3 {
		t.Errorf("%d workflows install pulumi, want 3", found)
	}
}
