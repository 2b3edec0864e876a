package pipeline

import (
	"strings"

	"golang.org/x/mod/semver"

	"github.com/clawft/infra/registry"
)

// checkVersion accepts full semantic versions. Build metadata is refused,
// because an image tag cannot hold a "+".
func checkVersion(r *report, path, version string) {
	if version == "" {
		r.wrong(path, nothing, "the release to deploy, such as 0.6.19: %s", r.setCommand(path, "0.6.19"))
		return
	}
	if release, revision := registry.Untag(version); revision > 0 && validVersion(release) {
		r.wrong(path, quote(version), "%s: a release that is built again is published under this tag by clawft:image.revision %d", release, revision)
		return
	}
	if validVersion(version) {
		return
	}
	example := "0.6.19 or 1.0.0-rc.1"
	if bare := strings.TrimPrefix(version, "v"); bare != version && validVersion(bare) {
		example = bare
	}
	r.wrong(path, quote(version), `a semantic version without "v" and without build metadata, such as %s`, example)
}

func validVersion(version string) bool {
	return semver.IsValid("v"+version) && semver.Canonical("v"+version) == "v"+version
}
