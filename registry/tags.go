package registry

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
)

// Latest is the tag of the highest stable release.
const Latest = "latest"

// rebuilt is the tag of a release that was built again: 0.6.19-r1.
var rebuilt = regexp.MustCompile(`^(.+)-r([1-9][0-9]{0,8})$`)

// Tag is the tag that a build of a release has for itself: X.Y.Z, or X.Y.Z-rN for
// the Nth time that it was built again on purpose.
func Tag(version string, revision int) string {
	if revision == 0 {
		return version
	}
	return fmt.Sprintf("%s-r%d", version, revision)
}

// Untag is the other way round: the release and the revision that a tag is of.
func Untag(tag string) (version string, revision int) {
	if found := rebuilt.FindStringSubmatch(tag); found != nil {
		// So few digits are a number.
		revision, _ = strconv.Atoi(found[2])
		return found[1], revision
	}
	return tag, 0
}

// PublicTags returns the tags under which a build of a release is published in a
// repository that has the existing ones. Its own is always among them. X.Y, X and
// latest belong to the highest stable release of their line, and of that to its
// last revision, so neither a pre-release nor a backport moves them. There is no
// tag 0: what is compatible with what is not promised before 1.0.0.
func PublicTags(version string, revision int, existing []string) []string {
	tags := []string{Tag(version, revision)}
	release := "v" + version
	if semver.Prerelease(release) != "" {
		return tags
	}
	highest := func(line func(string) string) bool {
		return !slices.ContainsFunc(existing, func(tag string) bool {
			other, rebuild := Untag(tag)
			other = "v" + other
			return isRelease(other) && line(other) == line(release) &&
				cmp.Or(semver.Compare(other, release), cmp.Compare(rebuild, revision)) > 0
		})
	}
	if highest(semver.MajorMinor) {
		tags = append(tags, strings.TrimPrefix(semver.MajorMinor(release), "v"))
	}
	if major := semver.Major(release); major != "v0" && highest(semver.Major) {
		tags = append(tags, strings.TrimPrefix(major, "v"))
	}
	if highest(func(string) string { return "" }) {
		tags = append(tags, Latest)
	}
	return tags
}

// isRelease tells a stable release, X.Y.Z, from every other tag.
func isRelease(tag string) bool {
	return semver.IsValid(tag) && semver.Canonical(tag) == tag && semver.Prerelease(tag) == ""
}
