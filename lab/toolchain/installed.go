package toolchain

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// askTimeout is for a program that only has to print its version.
const askTimeout = 20 * time.Second

// installedPulumi is the path of the machine's own pulumi, or empty if there is
// none that is good enough.
func installedPulumi(ctx context.Context, pinned string, progress Progress) string {
	path, err := exec.LookPath("pulumi")
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	// It would ask its makers' server for news first.
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.Output()
	if err != nil {
		progress("not using %s, which does not tell its version: %v", path, err)
		return ""
	}
	version := strings.TrimSpace(string(out))
	if !serves(version, pinned) {
		progress("not using %s, which is %s: %s or a newer one of the same major version is needed", path, version, pinned)
		return ""
	}
	return path
}

// serves tells whether an engine of one version can stand in for another: an
// engine runs programs of its own and of older SDKs, within a major version.
func serves(version, pinned string) bool {
	if !strings.HasPrefix(version, "v") {
		version = "v" + version
	}
	return semver.IsValid(version) && semver.Major(version) == semver.Major(pinned) && semver.Compare(version, pinned) >= 0
}
