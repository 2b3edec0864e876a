package stack

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// What a build of minutes shows on the screen, and what it leaves in the log.
func TestBuildSteps(t *testing.T) {
	lines := strings.Split(`#0 building with "clawft-lab" instance using remote driver
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#5 [builder 1/3] FROM docker.io/library/rust:1.93@sha256:abc
#5 CACHED
#6 [builder 2/3] RUN cargo build --release
#6 0.412    Compiling serde v1.0
#7 [runtime 1/2] COPY a b
#7 DONE 0.1s
#6 [builder 2/3] RUN cargo build --release
#6 312.4     Finished
#6 DONE 312.5s
#8 [builder 3/3] RUN false
#8 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1`, "\n")
	var out, log bytes.Buffer
	progress := NewProgress(&out, &log)
	for _, line := range lines {
		progress.take(apitype.EngineEvent{DiagnosticEvent: &apitype.DiagnosticEvent{
			URN: "urn:pulumi:lab::clawft::docker-build:index:Image::gateway-build", Severity: "info", Ephemeral: true, Message: line + "\n",
		}})
	}
	want := []string{
		"  building [builder 1/3] FROM docker.io/library/rust:1.93@sha256:abc",
		"  cached   [builder 1/3] FROM docker.io/library/rust:1.93@sha256:abc",
		"  building [builder 2/3] RUN cargo build --release",
		"  building [runtime 1/2] COPY a b",
		"  built    [runtime 1/2] COPY a b  0.1 s",
		"  built    [builder 2/3] RUN cargo build --release  312.5 s",
		"  building [builder 3/3] RUN false",
		"  FAILED   [builder 3/3] RUN false",
	}
	if got := strings.Split(strings.TrimRight(out.String(), "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, line := range lines {
		if !strings.Contains(log.String(), "gateway-build: "+line+"\n") {
			t.Errorf("the log lacks %q:\n%s", line, &log)
		}
	}
}
