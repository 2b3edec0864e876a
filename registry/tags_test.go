package registry

import (
	"slices"
	"strings"
	"testing"
)

func TestPublicTags(t *testing.T) {
	for _, test := range []struct {
		name, version, existing, want string
	}{
		{"first release of all", "0.6.19", "", "0.6.19 0.6 latest"},
		{"first release beside a build cache", "1.0.0", "buildcache sha256-abc.sig", "1.0.0 1.0 1 latest"},
		{"next patch", "0.6.20", "0.6.19 0.6 latest", "0.6.20 0.6 latest"},
		{"the same again", "0.6.20", "0.6.20 0.6.19 0.6 latest", "0.6.20 0.6 latest"},
		{"compared as numbers", "0.6.10", "0.6.9 0.6 latest", "0.6.10 0.6 latest"},
		{"next minor", "1.3.0", "1.2.9 1.2 1 latest", "1.3.0 1.3 1 latest"},
		{"next major", "2.0.0", "1.9.0 1.9 1 latest", "2.0.0 2.0 2 latest"},
		{"backport to a minor", "1.2.10", "1.2.9 1.3.0 1.2 1.3 1 latest", "1.2.10 1.2"},
		{"backport to a major", "1.9.1", "1.9.0 2.0.0 1.9 1 2 latest", "1.9.1 1.9 1"},
		{"backport to a new minor", "1.2.0", "1.1.0 1.3.0 2.0.0", "1.2.0 1.2"},
		{"older patch", "0.6.18", "0.6.19 0.6.17", "0.6.18"},
		{"pre-release", "0.7.0-rc.1", "0.6.19 0.6 latest", "0.7.0-rc.1"},
		{"first pre-release of all", "1.0.0-rc.1", "", "1.0.0-rc.1"},
		{"release after its pre-release", "0.7.0", "0.7.0-rc.1 0.6.19", "0.7.0 0.7 latest"},
		{"release before another's pre-release", "0.6.20", "0.7.0-rc.1 0.6.19", "0.6.20 0.6 latest"},
		{"rebuild", "0.6.20", "0.6.20 0.6.19 0.6 latest", "0.6.20-r1 0.6 latest"},
		{"rebuild of what was rebuilt", "0.6.20", "0.6.20-r1 0.6.20 0.6 latest", "0.6.20-r2 0.6 latest"},
		{"rebuild of an older one", "0.6.19", "0.6.20 0.6.19 0.6 latest", "0.6.19-r1"},
		{"earlier rebuild", "0.6.20", "0.6.20-r10 0.6.20 0.6 latest", "0.6.20-r9"},
		{"rebuilt release, as it was", "0.6.20", "0.6.20-r1 0.6.20 0.6 latest", "0.6.20"},
		{"next release after a rebuild", "0.6.21", "0.6.20-r1 0.6.20 0.6 latest", "0.6.21 0.6 latest"},
		{"release before a rebuilt one", "0.6.18", "0.6.19-r1", "0.6.18"},
		{"rebuilt pre-release", "0.7.0-rc.1", "0.6.19-r1 0.6.19", "0.7.0-rc.1-r1"},
		{"release after a rebuilt pre-release", "0.7.0", "0.7.0-rc.1-r3 0.6.19", "0.7.0 0.7 latest"},
		{"what only looks like a rebuild", "0.6.20", "0.6.21-r0 0.6.21-r01 0.6.21-rc.1 9-r1", "0.6.20 0.6 latest"},
		{"another's spelling is no release", "0.6.20", "v9.9.9 9.9 9 09.9.9 9.9.9.9", "0.6.20 0.6 latest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := strings.Fields(test.want)
			version, revision := Untag(want[0])
			if version != test.version || Tag(version, revision) != want[0] {
				t.Fatalf("%s is taken for revision %d of %s", want[0], revision, version)
			}
			got := PublicTags(version, revision, strings.Fields(test.existing))
			if !slices.Equal(got, want) {
				t.Errorf("%s beside %q is published as %v, want %v", test.version, test.existing, got, want)
			}
		})
	}
}
