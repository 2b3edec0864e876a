package gatewayimage

import "regexp"

var (
	stepName   = regexp.MustCompile(`(?m)^#(\d+) \[(.+)$`)
	stepCached = regexp.MustCompile(`(?m)^#(\d+) CACHED$`)
)

// Steps tells for each step of a build's log whether it came from the cache, by
// the step's name, such as "linux/amd64 build 2/4] RUN …".
func Steps(log string) map[string]bool {
	cached := map[string]bool{}
	for _, found := range stepCached.FindAllStringSubmatch(log, -1) {
		cached[found[1]] = true
	}
	steps := map[string]bool{}
	for _, found := range stepName.FindAllStringSubmatch(log, -1) {
		steps[found[2]] = cached[found[1]]
	}
	return steps
}
