package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// askTimeout is for a program that only has to print its version.
const askTimeout = 20 * time.Second

// installed is the path of the machine's own program, or empty if there is none
// that serves. Each one that does not is named.
func (t Tool) installed(ctx context.Context, pinned string, progress Progress) string {
	for _, path := range t.candidates() {
		version, err := t.ask(ctx, path)
		switch {
		case err != nil:
			progress("not using %s, which does not tell its version: %v", path, err)
		case !t.serves(version, pinned):
			progress("not using %s, which is %s: %s is needed", path, version, t.wanted(pinned))
		default:
			progress("using the installed %s %s, %s", t.Name, version, path)
			return path
		}
	}
	return ""
}

// candidates are the programs of that name on this machine.
func (t Tool) candidates() []string {
	var found []string
	if path, err := exec.LookPath(t.Name); err == nil {
		if path, err = filepath.Abs(path); err == nil {
			found = append(found, path)
		}
	}
	if !t.DockerPlugin {
		return found
	}
	for _, dir := range pluginDirs() {
		path := filepath.Join(dir, "docker-"+t.Name)
		if _, err := exec.LookPath(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// pluginDirs are where Docker's client looks for plugins, in its order.
func pluginDirs() []string {
	config := os.Getenv("DOCKER_CONFIG")
	if home, err := os.UserHomeDir(); config == "" && err == nil {
		config = filepath.Join(home, ".docker")
	}
	dirs := []string{
		"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
		"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
	}
	if config != "" {
		dirs = append([]string{filepath.Join(config, "cli-plugins")}, dirs...)
	}
	return dirs
}

// ask returns the version that a program tells, with a leading v. It is the one
// word of that form in its first line.
func (t Tool) ask(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, strings.Fields(t.VersionArgs)...)
	// It would ask its makers' server for news first.
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", withStderr(err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	for word := range strings.FieldsSeq(line) {
		version := "v" + strings.TrimPrefix(word, "v")
		// Three numbers: a commit of digits only would be a version of one.
		if semver.IsValid(version) && strings.Count(strings.TrimSuffix(version, semver.Build(version)), ".") >= 2 {
			return version, nil
		}
	}
	return "", fmt.Errorf("%q holds no version", line)
}

// serves tells whether one version can stand in for the pinned one.
func (t Tool) serves(version, pinned string) bool {
	if !t.Newer {
		return semver.Compare(version, pinned) == 0
	}
	return semver.Major(version) == semver.Major(pinned) && semver.Compare(version, pinned) >= 0
}

func (t Tool) wanted(pinned string) string {
	if !t.Newer {
		return "exactly " + pinned
	}
	return pinned + " or a newer one of the same major version"
}
