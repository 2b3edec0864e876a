package workflows_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/clawft/infra/lab/engine"
	"github.com/clawft/infra/lab/gateway/image"
)

// TestSmokeScriptNamesWhatIsWrong runs the script of docker-smoke on the lab's
// gateway, built broken in the ways that an image can be.
func TestSmokeScriptNamesWhatIsWrong(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Ensure(t.Context(), root, t.Logf); err != nil {
		t.Fatal(err)
	}
	if err := engine.Packages(t.Context(), t.Logf, "curl", "jq"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, fault, more, expect string
		says                      string // of a failure; empty for success
		log                       string // of the gateway, shown with it
	}{
		{name: "sound", expect: "0.6.19"},
		{name: "exits at once", fault: "exit-at-once", expect: "0.6.19",
			says: "exited with code 1 instead of serving", log: "lab fault exit-at-once"},
		{name: "refuses the configuration", fault: "refuse-config", expect: "0.6.19",
			says: "exited with code 1 instead of serving", log: "failed to parse config"},
		{name: "never healthy", fault: "never-healthy", expect: "0.6.19",
			says: "is not healthy after 4 s; /api/health last answered: nothing", log: "API"},
		{name: "hangs", fault: "hang", expect: "0.6.19",
			says: "is not healthy after 4 s"},
		{name: "healthy, but another version", fault: "wrong-version", expect: "0.6.19",
			says: "reports version 0.0.0-fault, and the workspace is at 0.6.19"},
		{name: "root", more: "USER 0:0\n", expect: "0.6.19",
			says: "runs as root; its Dockerfile needs a USER"},
		{name: "a signal it does not know", more: "STOPSIGNAL SIGTERM\n", expect: "0.6.19",
			says: "did not stop cleanly: exit code"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tag := buildGateway(t, root, test.fault, test.more)
			script := filepath.Join(root, "components/workflows/gates/smoke.sh")
			out, err := exec.Command("bash", script, tag, test.expect, "4").CombinedOutput()
			output := string(out)
			if test.says == "" {
				if err != nil || !strings.Contains(output, "healthy, not root, stopped cleanly") {
					t.Errorf("%v:\n%s", err, output)
				}
				return
			}
			if err == nil {
				t.Fatalf("the script passed:\n%s", output)
			}
			if !strings.Contains(output, "::error::"+tag+" "+test.says) || !strings.Contains(output, test.log) {
				t.Errorf("it does not say %q with the log %q:\n%s", test.says, test.log, output)
			}
			left, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "ancestor="+tag).Output()
			if err != nil || len(left) > 0 {
				t.Errorf("it left the container %s behind: %v", left, err)
			}
		})
	}
}

// buildGateway makes an image of the lab's gateway with a fault, and with more
// lines of Dockerfile.
func buildGateway(t *testing.T, root, fault, more string) string {
	t.Helper()
	dir := t.TempDir()
	if err := image.BuildContext(t.Context(), root, dir, "0.6.19", fault, []string{"linux/" + runtime.GOARCH}); err != nil {
		t.Fatal(err)
	}
	if more != "" {
		dockerfile, err := os.OpenFile(filepath.Join(dir, "Dockerfile"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer dockerfile.Close()
		if _, err := dockerfile.WriteString("\n" + more); err != nil {
			t.Fatal(err)
		}
	}
	tag := fmt.Sprintf("clawft-smoke-test/%d:%s", os.Getpid(), strings.ToLower(strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(t.Name())))
	// The engine's old builder does not set the platform's arguments by itself, and
	// shares cached layers with builds that are being removed.
	build := exec.Command("docker", "build", "--quiet", "--no-cache", "--tag", tag,
		"--build-arg", "TARGETOS=linux", "--build-arg", "TARGETARCH="+runtime.GOARCH, dir)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the image: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "image", "rm", "--force", tag).CombinedOutput(); err != nil {
			t.Errorf("removing the image: %v\n%s", err, out)
		}
	})
	return tag
}
