package cloudinit

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the bootstrap installs is what lies below host/, whatever its lines look like.
func TestBootstrapInstallsTheHostsFiles(t *testing.T) {
	need(t, "bash")
	dir := t.TempDir()
	script := "set -euo pipefail; LIB=" + dir + " changed=()\n" +
		function(t, bootstrapScript, "file") + installFiles() + "printf '%s\\n' \"${changed[@]}\"\n"
	command := exec.Command("bash", "-s")
	command.Stdin = strings.NewReader(script)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range hostFiles() {
		names = append(names, f.name)
		if got := run(t, "", "cat", filepath.Join(dir, f.name)); got != f.content {
			t.Errorf("%s is not installed as it is", f.name)
		}
	}
	if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("installed %v, want %v", got, names)
	}
	if !strings.Contains(Bootstrap(), installFiles()) {
		t.Error("the bootstrap installs nothing")
	}
}
