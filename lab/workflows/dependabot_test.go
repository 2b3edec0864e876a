package workflows_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// Dependabot reads no build arguments, so the base images stand in a file for it
// a second time.
func TestBaseImagesAreWatched(t *testing.T) {
	images := func(path string, pattern *regexp.Regexp) []string {
		content, err := os.ReadFile(filepath.Join("../..", path))
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, match := range pattern.FindAllStringSubmatch(string(content), -1) {
			found = append(found, match[1])
		}
		return found
	}
	used := images("Dockerfile", regexp.MustCompile(`(?m)^ARG [A-Z]+_IMAGE=(\S+)`))
	watched := images(".github/base-images/Dockerfile", regexp.MustCompile(`(?m)^FROM (\S+)`))
	if len(used) == 0 || !slices.Equal(used, watched) {
		t.Errorf("Dockerfile is built from %q, and .github/base-images/Dockerfile names %q; write the same into both", used, watched)
	}
}

// Whatever is pinned somewhere is looked after by somebody.
func TestDependabotSeesEveryManifest(t *testing.T) {
	content, err := os.ReadFile("../../.github/dependabot.yml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Updates []struct {
			Ecosystem   string   `yaml:"package-ecosystem"`
			Directory   string   `yaml:"directory"`
			Directories []string `yaml:"directories"`
		} `yaml:"updates"`
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	seen := func(ecosystem, directory string) bool {
		for _, update := range config.Updates {
			if update.Ecosystem != ecosystem {
				continue
			}
			for _, pattern := range append(update.Directories, update.Directory) {
				if match, err := filepath.Match(pattern, directory); err != nil || match {
					return err == nil
				}
			}
		}
		return false
	}
	modules, err := filepath.Glob("../../*/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range append(modules, "../../go.mod", "../../lab/go.mod") {
		directory := "/" + strings.TrimPrefix(strings.TrimPrefix(filepath.ToSlash(filepath.Dir(module)), "../.."), "/")
		if !seen("gomod", directory) {
			t.Errorf("nobody updates %s", directory+"/go.mod")
		}
	}
	for ecosystem, directory := range map[string]string{"github-actions": "/", "docker": "/.github/base-images"} {
		if !seen(ecosystem, directory) {
			t.Errorf("nobody updates the %s of %s", ecosystem, directory)
		}
	}
	if !seen("github-actions", "/components/workflows") {
		t.Error("nobody updates the actions of the gateway's workflows")
	}
}
