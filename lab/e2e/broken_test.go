package e2e

import (
	"testing"
	"time"
)

// brokenReleases deploys releases that are broken in every way that a release
// can be. Each `up` has to fail in time, name the cause, show what the gateway
// last said, and leave the previous release serving.
func brokenReleases(t *testing.T) {
	cases := []struct {
		name   string
		args   []string
		wanted []string
	}{
		{"exits at once", []string{"--fault", "exit-at-once"}, []string{"exit", "lab fault exit-at-once"}},
		{"wrong architecture", []string{"--fault", "wrong-architecture"}, []string{"wrong architecture"}},
		{"never healthy", []string{"--fault", "never-healthy"}, []string{"healthy", "503"}},
		{"another version", []string{"--fault", "wrong-version"}, []string{broken, "0.0.0-fault"}},
		{"crashes after a while", []string{"--fault", "crash-after=3"}, []string{"lab fault crash-after"}},
		{"refuses the config", []string{"--fault", "refuse-config"}, []string{"lab fault refuse-config"}},
		{"broken by real data", []string{"--fault", "unhealthy-on-data"}, []string{"healthy", "rolled back"}},
	}
	// One message, so that "real data" exist.
	traffic := startLoad(t, tested, "gw-1")
	time.Sleep(time.Second)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			output := tested.mustFail(t, 2*time.Minute, up(append([]string{"--version", broken}, test.args...)...)...)
			wantContains(t, output, append(test.wanted, "deploy failed")...)
			tested.wantVersion(t, second)
		})
	}
	t.Run("cannot be pulled", func(t *testing.T) {
		output := tested.mustFail(t, time.Minute, up("--version", broken,
			"--set", "clawft:image.source=", "--set", "clawft:image.dockerfile=",
			"--set", "clawft:image.digest=sha256:1111111111111111111111111111111111111111111111111111111111111111")...)
		// It is found before any host is asked.
		wantContains(t, output, "the hosts cannot pull", "the registry does not have it")
		tested.wantVersion(t, second)
	})
	// Requests were sent all the while. Only those in flight in the release that
	// was verified and crashed later are lost: one per client at most.
	traffic.finish(t, loadClients)
	tested.must(t, up("--version", second)...)
}
