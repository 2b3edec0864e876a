package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawft/infra/lab/site"
	"github.com/clawft/infra/lab/stack"
)

// TestPublication is the way of an image from its build to its public tags, in
// order, and every reason not to go it.
func TestPublication(t *testing.T) {
	tested.must(t, "down", "--force")
	inOrder(t, []step{
		{"a release is published as what runs", firstPublication},
		{"what runs is signed and attested", signedAndAttested},
		{"nothing runs that is not signed", unsignedReleases},
		{"what is wrong changes nothing public", refusedPublications},
		{"other machines go on: the next release moves the tags and leaves the last one", otherMachines},
		{"another stack promotes what runs", promotion},
		{"going back deploys what was published", goingBack},
		{"down leaves nothing", down},
	})
}

// publishing are the arguments of an `up` that publishes a version.
func publishing(version string, args ...string) []string {
	return up(append([]string{"--version", version, "--set", "clawft:image.publish=true"}, args...)...)
}

// deployed is the digest that all hosts run.
func deployed(t *testing.T) string {
	t.Helper()
	all := tested.hosts(t).All()
	for _, host := range all {
		if host.Image != all[0].Image {
			t.Errorf("%s runs %s, and %s runs %s", host.Name, host.Image, all[0].Name, all[0].Image)
		}
	}
	_, digest, _ := strings.Cut(all[0].Image, "@")
	return digest
}

// publicTags are the tags in the lab's registry and what they point at. They are
// read from its files, because it is served only while a lab command runs.
func publicTags(t *testing.T) map[string]string {
	t.Helper()
	tags := map[string]string{}
	for _, link := range tagLinks(t, "*") {
		// What is attached to an image is no name for it, and nor is the cache.
		if strings.Contains(link, "/tags/sha256-") || strings.Contains(link, "/tags/"+cacheTag+"/") {
			continue
		}
		digest, err := os.ReadFile(link)
		if err != nil {
			t.Fatal(err)
		}
		tags[filepath.Base(filepath.Dir(filepath.Dir(link)))] = string(digest)
	}
	return tags
}

// cacheTag is where builds keep their layers by default.
const cacheTag = "buildcache"

func tagLinks(t *testing.T, tag string) []string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(site.Dir(tested.root, labName),
		"registry", "data", "docker", "registry", "v2", "repositories", "clawft", "clawft", "_manifests", "tags", tag, "current", "link"))
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func wantTags(t *testing.T, want map[string]string) {
	t.Helper()
	if got := publicTags(t); !maps.Equal(got, want) {
		t.Errorf("published are %v, want %v", got, want)
	}
}

func firstPublication(t *testing.T) {
	// What is only previewed is neither built nor proven nor published.
	output := tested.must(t, append([]string{"preview"}, publishing(first)[1:]...)...)
	wantContains(t, output, "gateway-size", "gateway-smoke", "gateway-unpublished", "gateway-attest", "gateway-tag-0.6.19", "gateway-tag-latest")
	wantTags(t, nil)

	output = tested.must(t, publishing(first)...)
	// A build of minutes shows where it is, and tells the rest in a log.
	log := filepath.Join(site.Dir(tested.root, labName), "up.log")
	wantContains(t, output, "  building [", log)
	if details, err := os.ReadFile(log); err != nil || !strings.Contains(string(details), "gateway-build: #") {
		t.Errorf("the log of the run has nothing of the build: %v\n%s", err, details)
	}
	tested.wantVersion(t, first)
	digest := deployed(t)
	wantTags(t, map[string]string{first: digest, "0.6": digest, "latest": digest})
	if len(tagLinks(t, cacheTag)) != 1 {
		t.Errorf("the build left no cache in the registry")
	}
	wantUnchanged(t, tested.must(t, publishing(first)...), "stack     ")

	// Of a source that alone has changed, a preview knows no digest.
	output = tested.must(t, "preview", "--version", first, "--set", "clawft:image.publish=true",
		"--fault", "exit-at-once", "--set", "clawft:image.smokeTest=true")
	wantContains(t, output, "gateway-build", "gateway-size", "gateway-smoke", "gateway-unpublished", "gateway-tag-latest", "gw-1-release")
}

func refusedPublications(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong, []byte("wrong-canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A source in which the gateway is not.
	hollow := filepath.Join(stack.ProjectDir(site.Dir(tested.root, labName)), "hollow")
	if err := os.MkdirAll(hollow, 0o755); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		args   []string
		wanted []string
	}{
		{"unknown platform, missing Dockerfile and source, no version", publishing("0.6",
			"--set", "clawft:image.platforms[0]=linux/riscv64", "--set", "clawft:image.dockerfile=gateway/Missing",
			"--set", "clawft:image.source=./nowhere"), []string{
			"clawft:image.platforms[0]", `"linux/riscv64"`, "linux/amd64, linux/arm64",
			"clawft:image.dockerfile", `"gateway/Missing"`, "clawft:image.source", `"./nowhere"`, "clawft:version", `"0.6"`,
		}},
		{"source without the gateway", publishing(second, "--set", "clawft:image.source=./hollow"), []string{
			"gateway-build", "not found",
		}},
		{"source that does not resolve", publishing(second, "--set", "clawft:image.source=https://127.0.0.1:1/clawft.git"), []string{
			"resolving clawft:image.source", "https://127.0.0.1:1/clawft.git",
		}},
		{"registry that refuses who publishes", publishing(second, "--set-secret", "clawft:registryPassword="+wrong), []string{
			`clawft:registryPassword does not belong to user "clawft"`, "401 Unauthorized", "--secret clawft:registryPassword",
		}},
		{"registry that refuses who builds", up("--version", second, "--set-secret", "clawft:registryPassword="+wrong), []string{
			`clawft:registryPassword does not belong to user "clawft"`, "401 Unauthorized", "--secret clawft:registryPassword",
		}},
		{"registry that refuses the hosts", up("--version", second, "--set-secret", "clawft:registryPullToken="+wrong), []string{
			`clawft:registryPullToken does not belong to user "clawft"`, "401 Unauthorized", "--secret clawft:registryPullToken",
		}},
		{"over budget", publishing(second, "--set", "clawft:image.sizeLimitMiB=1"), []string{
			"gateway-size", "MiB compressed", "over the limit of 1 MiB (1048576 bytes)", "clawft:image.sizeLimitMiB",
		}},
		{"broken release", publishing(second, "--fault", "exit-at-once", "--set", "clawft:image.smokeTest=true"), []string{
			"gateway-smoke", "the gateway exited with code 1", "lab fault exit-at-once",
		}},
		{"published version with other content", publishing(first, "--fault", "crash-after=3600"), []string{
			"gateway-unpublished", "version 0.6.19 is published already with other content", deployed(t), "raise clawft:version",
		}},
	}
	tags, started := publicTags(t), startTimes(t)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			output := tested.mustFail(t, time.Minute, test.args...)
			wantContains(t, output, test.wanted...)
			if strings.Contains(output, "wrong-canary") {
				t.Errorf("the output shows a password:\n%s", output)
			}
			wantTags(t, tags)
		})
	}
	if now := startTimes(t); now != started {
		t.Errorf("gateways were restarted: %s before, %s now", started, now)
	}
	tested.wantVersion(t, first)
	if left := shell(t, "docker ps --all --quiet --filter label=clawft.gate=smoke; docker images --quiet clawft-smoke"); left != "" {
		t.Errorf("a smoke test left %s in the engine", left)
	}
}

func nextPublication(t *testing.T, from lab) {
	before := deployed(t)
	output := from.must(t, publishing(second)...)
	if strings.Contains(output, "REPLACE") {
		t.Errorf("a release replaced something:\n%s", output)
	}
	tested.wantVersion(t, second)
	after := deployed(t)
	if after == before {
		t.Fatal("another version has the same digest")
	}
	wantTags(t, map[string]string{first: before, second: after, "0.6": after, "latest": after})
}
