package registry

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// Latest is the tag of the highest stable release.
const Latest = "latest"

// PublicTags returns the tags under which a release is published in a
// repository that has the existing ones. Its own, X.Y.Z, is always among them.
// X.Y, X and latest belong to the highest stable release of their line, so
// neither a pre-release nor a backport moves them. There is no tag 0: what is
// compatible with what is not promised before 1.0.0.
func PublicTags(version string, existing []string) []string {
	tags := []string{version}
	release := "v" + version
	if semver.Prerelease(release) != "" {
		return tags
	}
	highest := func(line func(string) string) bool {
		return !slices.ContainsFunc(existing, func(tag string) bool {
			other := "v" + tag
			return isRelease(other) && line(other) == line(release) && semver.Compare(other, release) > 0
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
