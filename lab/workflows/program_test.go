package workflows_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/cloudinit"
	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/provider/tls"
	"github.com/clawft/infra/lab/toolchain"
)

// Linking takes more processor time than all the rest of a preview that finds
// nothing to do, so it happens once: the program in this checkout is started as
// users start it, compiled for the project's build target.
func TestProgramIsLinkedOnce(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	project, err := workspace.LoadProject(filepath.Join(root, "Pulumi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	target, kept := project.Runtime.Options()["buildTarget"].(string)
	if !kept {
		t.Fatal("Pulumi.yaml names no build target, so every command links the program")
	}
	target = filepath.Join(root, target)

	t.Setenv("HCLOUD_TOKEN", strings.Repeat("lab0", 16))
	server, err := provider.Set{
		"cloudinit": cloudinit.New(),
		"command":   provider.Package{Name: "command", Resources: []provider.Resource{recordedCommand()}}.Provider(),
		"hcloud":    hcloud.New(hcloud.NewCloud(hcloud.Options{})),
		"tls":       tls.New(),
	}.Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	program, err := toolchain.Ensure(t.Context(), root, toolchain.Pulumi, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	env := append(os.Environ(),
		"PULUMI_HOME="+home,
		"PULUMI_BACKEND_URL=file://"+home,
		"PULUMI_CONFIG_PASSPHRASE="+passphrase,
		"PULUMI_SKIP_UPDATE_CHECK=true",
		"PULUMI_DEBUG_PROVIDERS="+server.Env(),
		"PULUMI_DEBUG_LANGUAGES="+serveLanguage(t, nil),
	)
	pulumi := func(dir string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append(args, "--non-interactive")...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("pulumi %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	// A project of the same name, so that the checkout gets no stack file.
	aside := t.TempDir()
	write(t, filepath.Join(aside, "Pulumi.yaml"), []byte("name: "+project.Name.String()+"\nruntime: go\n"))
	pulumi(aside, "stack", "init", "linked")
	file := filepath.Join(aside, "Pulumi.linked.yaml")
	salt, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, append(salt, `config:
  clawft:version: 0.6.19
  clawft:image:
    repository: ghcr.io/clawft/clawft
    digest: sha256:`+strings.Repeat("a", 64)+`
  clawft:hosts:
    - name: gw-1
      hcloud: {type: cx23, location: nbg1, image: debian-12}
`...))
	preview := func(dir string) {
		t.Helper()
		if out := pulumi(dir, "preview", "--stack", "linked", "--config-file", file); !strings.Contains(out, "gw-1-server") {
			t.Errorf("it plans no server:\n%s", out)
		}
	}

	preview(root)
	// Beside it, since a link cannot be on another file system: a second name of the
	// file, which a new program would not have.
	linked := fmt.Sprintf("%s.%d", target, os.Getpid())
	if err := os.Link(target, linked); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(linked) })
	preview(filepath.Join(root, "docs"))
	before, err := os.Stat(linked)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Errorf("the second preview has linked %s anew", target)
	}
}
