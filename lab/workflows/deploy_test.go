package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/components/workflows"
	"github.com/clawft/infra/internal/agent"
	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/cloudinit"
	"github.com/clawft/infra/lab/provider/github"
	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/provider/tls"
	"github.com/clawft/infra/lab/toolchain"
	"github.com/clawft/infra/pipeline"
)

// deployment is this repository with a stack prod, whose clouds are the lab's.
type deployment struct {
	*runner

	repository string // a clone of this checkout, whose stack file is the test's
	hub        *github.Hub
	comments   string
	says       string // what machines complain about
	sent       string // what they were sent last
}

const stackFile = `config:
  clawft:version: 0.1.0
  clawft:image:
    repository: ghcr.io/clawft/clawft
    digest: sha256:%s
  clawft:hosts:
    - name: gw-1
      hcloud: {type: cx23, location: nbg1, image: debian-12}
    - name: gw-2
      hcloud: {type: cx23, location: hel1, image: debian-12}
  clawft:protect: false
  clawft:github:
    owner: clawft
    repository: clawft
    bypassActor: {id: 5, type: RepositoryRole}
    infra: {repository: clawft/infra, ref: %s, version: v1.2.0}
`

// newDeployment serves the clouds and makes the stack, which nothing was
// deployed with yet.
func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{runner: newRunner(t)}
	work := t.TempDir()
	d.comments, d.says, d.sent = filepath.Join(work, "comments"), filepath.Join(work, "says"), filepath.Join(work, "sent")

	// The plugins and the program run in this process, and read its environment.
	t.Setenv("HCLOUD_TOKEN", strings.Repeat("lab0", 16))
	t.Setenv("GITHUB_TOKEN", "lab-token")
	var err error
	if d.hub, err = github.Open(filepath.Join(work, "github")); err != nil {
		t.Fatal(err)
	}
	if err := d.hub.CreateRepository("clawft", "clawft", "main"); err != nil {
		t.Fatal(err)
	}
	server, err := provider.Set{
		"cloudinit": cloudinit.New(),
		"command":   provider.Package{Name: "command", Resources: []provider.Resource{recordedCommand()}}.Provider(),
		"github":    github.New(d.hub),
		"hcloud":    hcloud.New(hcloud.NewCloud(hcloud.Options{})),
		"tls":       tls.New(),
	}.Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)

	pulumi, err := toolchain.Ensure(t.Context(), d.root, toolchain.Pulumi, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(work, "bin")
	for _, dir := range []string{bin, filepath.Join(work, "state")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(pulumi, filepath.Join(bin, "pulumi")); err != nil {
		t.Fatal(err)
	}
	stand, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	d.repository = d.clone(t)
	d.env = append(d.env,
		"PATH="+filepath.Join(stand, "bin-deploy")+":"+bin+":"+filepath.Join(stand, "bin")+":"+os.Getenv("PATH"),
		"PULUMI_HOME="+filepath.Join(work, "home"),
		"PULUMI_DEBUG_PROVIDERS="+server.Env(),
		"PULUMI_DEBUG_LANGUAGES="+serveLanguage(t, pipeline.Deploy),
		"PULUMI_SKIP_UPDATE_CHECK=true",
		"LAB_COMMENTS="+d.comments, "LAB_SAYS="+d.says, "LAB_SENT="+d.sent,
		"LAB_INFRA="+d.repository,
		"PULUMI_BACKEND_URL=file://"+filepath.Join(work, "state"),
		"PULUMI_CONFIG_PASSPHRASE="+passphrase,
	)
	for _, name := range []string{"actions/checkout", "actions/setup-go", "docker/login-action", "pulumi/actions"} {
		d.actions[name] = filepath.Join(stand, "actions", name)
	}
	d.pulumi(t, "stack", "init", "prod")
	// `stack init` notes in the stack file how secrets are encrypted.
	d.commit(t, d.repository, "The stack prod")
	return d
}

const passphrase = "canary-passphrase"

// clone copies what the workflows need of this checkout.
func (d *deployment) clone(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "infra")
	paths, err := agent.Files(d.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, ".github", "cloud-init/host", "Dockerfile", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.lab.yaml") {
		target := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		d.command(t, d.root, "cp", "-r", path, target)
	}
	write(t, filepath.Join(dir, "Pulumi.prod.yaml"), fmt.Appendf(nil, stackFile, strings.Repeat("a", 64), strings.Repeat("c", 40)))
	d.command(t, dir, "git", "init", "--quiet", "--initial-branch=main")
	d.command(t, dir, "git", "remote", "add", "origin", "https://github.com/clawft/infra.git")
	d.commit(t, dir, "This repository")
	return dir
}

// recordedCommand stands in for commands on machines that there are none of.
func recordedCommand() provider.Resource {
	run := func(inputs property.Map) (property.Map, error) {
		return property.NewMap(map[string]property.Value{
			"stdout": property.New("deployed"), "stderr": property.New(""),
		}), nil
	}
	return provider.Resource{
		Token:    "command:remote:Command",
		Args:     remote.CommandArgs{},
		State:    &remote.Command{},
		Secret:   []string{"connection"},
		Volatile: []string{"stdout", "stderr"},
		Create: func(_ context.Context, r provider.CreateRequest) (string, property.Map, error) {
			outputs, err := run(r.Inputs)
			return r.Name, outputs, err
		},
		Update: func(_ context.Context, r provider.UpdateRequest) (property.Map, error) { return run(r.Inputs) },
	}
}

func (d *deployment) pulumi(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(d.find(t, "pulumi"), append(args, "--non-interactive")...)
	cmd.Dir, cmd.Env = d.repository, d.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pulumi %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// find looks for a program on the runner's PATH.
func (d *deployment) find(t *testing.T, program string) string {
	t.Helper()
	path := ""
	for _, entry := range d.env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value // the last one counts
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return filepath.Join(dir, program)
		}
	}
	t.Fatalf("no %s on %s", program, path)
	return ""
}

// event writes an event's payload, for act.
func event(t *testing.T, payload any) string {
	t.Helper()
	content, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "event.json")
	write(t, path, content)
	return path
}

// backend is the address of the stack's state.
func (d *deployment) backend() string {
	for _, entry := range d.env {
		if address, ok := strings.CutPrefix(entry, "PULUMI_BACKEND_URL="); ok {
			return address
		}
	}
	return ""
}

// secrets are what the backend of the test needs; as variables, like GitHub's.
func (d *deployment) secrets(t *testing.T) []string {
	t.Helper()
	return []string{"--var", "PULUMI_BACKEND_URL=" + d.backend(), "--secret", "PULUMI_CONFIG_PASSPHRASE=" + passphrase}
}

type object = map[string]any

func TestReleaseDeploysAndSaysWhat(t *testing.T) {
	d := newDeployment(t)
	dispatch := func(t *testing.T, version, stack string) run {
		t.Helper()
		payload := event(t, object{"inputs": object{"version": version, "stack": stack}})
		return d.act(t, d.repository, "workflow_dispatch", append(d.secrets(t),
			"--workflows", ".github/workflows/release.yml", "--eventpath", payload)...)
	}

	first := dispatch(t, "0.6.19", "prod")
	if first.failed || !maps.Equal(first.jobs, map[string]string{"stack": "success", "deploy": "success"}) {
		t.Fatalf("the first release: %v\n%s", first.jobs, first.log)
	}
	for _, want := range []string{
		"## prod: 0.6.19",
		"| version | none → 0.6.19 |",
		"| digest | `sha256:" + strings.Repeat("a", 64) + "` |",
		"| linux/amd64 | 21.5 MiB compressed |",
		"| linux/arm64 | 20 MiB compressed |",
		"| gw-1 | 203.0.113.11 | nothing | `sha256:aaaaaaaaaaaa` |",
		"| gw-2 | 203.0.113.12 | nothing | `sha256:aaaaaaaaaaaa` |",
	} {
		if !strings.Contains(first.log, want) {
			t.Errorf("the summary lacks %q:\n%s", want, first.log)
		}
	}
	if strings.Contains(first.log, passphrase) {
		t.Error("the passphrase is in the log")
	}

	second := dispatch(t, "v0.7.0-rc.1", "prod")
	if second.failed || !strings.Contains(second.log, "| version | 0.6.19 → 0.7.0-rc.1 |") ||
		!strings.Contains(second.log, "| gw-1 | 203.0.113.11 | `sha256:aaaaaaaaaaaa` | `sha256:aaaaaaaaaaaa` |") {
		t.Errorf("the second release: %v\n%s", second.jobs, second.log)
	}

	t.Run("a stack that another run holds", func(t *testing.T) {
		locks, err := filepath.Glob(strings.TrimPrefix(d.backend(), "file://") + "/.pulumi/locks/*/clawft/prod")
		if err != nil || len(locks) != 1 {
			t.Fatalf("the backend's locks are in %q, %v", locks, err)
		}
		lock := filepath.Join(locks[0], "11111111-2222-3333-4444-555555555555.json")
		write(t, lock, []byte(`{"pid":1,"username":"somebody","hostname":"elsewhere","timestamp":"2026-01-01T00:00:00Z"}`))
		held := dispatch(t, "0.7.0", "prod")
		if !held.failed || !strings.Contains(held.log, "another update of prod is under way, from another repository or machine; nothing was changed.") ||
			!strings.Contains(held.log, "pulumi cancel --stack prod") {
			t.Errorf("jobs ended as %v:\n%s", held.jobs, held.log)
		}
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		if version := strings.TrimSpace(d.pulumi(t, "stack", "output", "--stack", "prod", "version")); version != "0.7.0-rc.1" {
			t.Errorf("version %s runs", version)
		}
	})

	for _, stack := range []string{"lab", "prod-preview"} {
		refused := dispatch(t, "0.6.20", stack)
		if _, ran := refused.jobs["deploy"]; !refused.failed || ran || !strings.Contains(refused.log, stack+" is no stack of this repository; give dev or prod") {
			t.Errorf("stack %s: %v\n%s", stack, refused.jobs, refused.log)
		}
	}
	for _, version := range []string{"latest", "0.6", "v1.2.3.4", "1.2.3; id", "01.2.3"} {
		refused := dispatch(t, version, "prod")
		if !refused.failed || !strings.Contains(refused.log, strings.TrimPrefix(version, "v")+" is no version of the gateway; give one such as 0.6.19 or 0.7.0-rc.1") {
			t.Errorf("version %q: %v\n%s", version, refused.jobs, refused.log)
		}
	}
}

// TestTagOfTheGatewayDeploysIt pushes a tag in the gateway's repository: its
// release.yml runs the gates and then calls this repository's release workflow.
func TestTagOfTheGatewayDeploysIt(t *testing.T) {
	d := newDeployment(t)
	image := fmt.Sprintf("clawft-workflows-test/%d", os.Getpid())
	t.Cleanup(func() { d.command(t, "/", "docker", "image", "rm", "--force", image+":smoke") })
	head := strings.TrimSpace(d.output(t, d.repository, "git", "rev-parse", "HEAD"))
	gateway := newGateway(t, d.runner, image, head).copy(t)
	d.command(t, gateway, "git", "remote", "add", "origin", "https://github.com/clawft/clawft.git")
	d.called = "clawft/infra@" + head + "=" + d.repository
	tag := func(t *testing.T, name string) run {
		t.Helper()
		d.command(t, gateway, "git", "tag", name)
		payload := event(t, object{"ref": "refs/tags/" + name})
		return d.act(t, gateway, "push", append(d.secrets(t), "--workflows", workflows.ReleasePath, "--eventpath", payload)...)
	}

	released := tag(t, "v0.6.19")
	want := map[string]string{"stack": "success", "deploy": "success"}
	for _, gate := range workflows.Gates {
		want[string(gate)] = "success"
	}
	if released.failed || !maps.Equal(released.jobs, want) {
		t.Fatalf("jobs ended as %v, want %v:\n%s", released.jobs, want, released.log)
	}
	if !strings.Contains(released.log, "## prod: 0.6.19") {
		t.Errorf("the summary does not name the release:\n%s", released.log)
	}

	replaceIn(t, gateway, "crates/clawft-cli/src/main.rs", `"status": "ok"`, `"status": "starting"`)
	d.commit(t, gateway, "A release that is broken")
	broken := tag(t, "v0.6.20")
	if _, deployed := broken.jobs["deploy"]; !broken.failed || deployed || broken.jobs[string(workflows.DockerSmoke)] != "failure" {
		t.Errorf("jobs ended as %v, though a gate has to stop the release:\n%s", broken.jobs, broken.log)
	}
	if version := strings.TrimSpace(d.pulumi(t, "stack", "output", "--stack", "prod", "version")); version != "0.6.19" {
		t.Errorf("version %s runs", version)
	}
}

func TestPreviewIsOneCommentForEachStack(t *testing.T) {
	d := newDeployment(t)
	d.pulumi(t, "up", "--stack", "prod", "--yes", "--config", "clawft:version=0.6.19")
	preview := func(t *testing.T, owner, author, stack string) run {
		t.Helper()
		payload := event(t, object{"pull_request": object{
			"number": 7, "user": object{"login": author},
			"head": object{"ref": "change", "repo": object{"full_name": owner + "/infra"}},
			"base": object{"ref": "main"},
		}})
		return d.act(t, d.repository, "pull_request", append(d.secrets(t),
			"--workflows", ".github/workflows/preview.yml", "--matrix", "stack:"+stack, "--eventpath", payload, "--secret", "GITHUB_TOKEN=token")...)
	}
	comment := func(t *testing.T, stack string) string {
		t.Helper()
		var comments []struct{ Body string }
		content, err := os.ReadFile(d.comments)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(content, &comments); err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, written := range comments {
			if strings.HasPrefix(written.Body, "<!-- preview of "+stack+" -->\n") {
				found = append(found, written.Body)
			}
		}
		if len(found) != 1 {
			t.Fatalf("%d comments on %s among %d", len(found), stack, len(comments))
		}
		return found[0]
	}

	for _, stranger := range []struct{ name, owner, author string }{
		{"a fork", "somebody", "somebody"},
		{"Dependabot", "clawft", "dependabot[bot]"},
	} {
		t.Run(stranger.name+" gets an explanation", func(t *testing.T) {
			ran := preview(t, stranger.owner, stranger.author, "prod")
			if ran.failed || ran.jobs["explain"] != "success" || ran.jobs["preview"] == "success" {
				t.Errorf("jobs ended as %v:\n%s", ran.jobs, ran.log)
			}
			if !strings.Contains(ran.log, "No preview: it needs the stacks' secrets, which GitHub gives neither to forks nor to Dependabot.") {
				t.Errorf("it does not say why:\n%s", ran.log)
			}
			if _, err := os.Stat(d.comments); err == nil {
				t.Error("it commented, which a fork's token may not")
			}
		})
	}

	t.Run("no changes", func(t *testing.T) {
		// The stack file still names the version of its first deployment.
		if ran := preview(t, "clawft", "somebody", "prod"); ran.failed {
			t.Fatalf("jobs ended as %v:\n%s", ran.jobs, ran.log)
		}
		text := comment(t, "prod")
		if !strings.Contains(text, "### prod: no changes") || strings.Contains(text, "CAUTION") {
			t.Errorf("the comment:\n%s", text)
		}
	})

	t.Run("another stack", func(t *testing.T) {
		if ran := preview(t, "clawft", "somebody", "dev"); ran.failed {
			t.Fatalf("jobs ended as %v:\n%s", ran.jobs, ran.log)
		}
		if text := comment(t, "dev"); !strings.Contains(text, "### dev: this stack does not exist yet") {
			t.Errorf("the comment:\n%s", text)
		}
	})

	t.Run("a replaced and a deleted server", func(t *testing.T) {
		replaceIn(t, d.repository, "Pulumi.prod.yaml", "location: nbg1", "location: fsn1")
		replaceIn(t, d.repository, "Pulumi.prod.yaml", "    - name: gw-2\n      hcloud: {type: cx23, location: hel1, image: debian-12}\n", "")
		d.commit(t, d.repository, "Move")
		if ran := preview(t, "clawft", "somebody", "prod"); ran.failed {
			t.Fatalf("jobs ended as %v:\n%s", ran.jobs, ran.log)
		}
		text := comment(t, "prod")
		caution := strings.Index(text, "> [!CAUTION]\n> **prod** loses servers or addresses, and with a server the data on it:\n")
		if caution < 0 || caution > strings.Index(text, "### ") {
			t.Fatalf("no warning at the top of:\n%s", text)
		}
		for _, want := range []string{
			"> - **replace** server `gw-1-server` because of `location`",
			"> - **delete** server `gw-2-server`",
			"| **delete** | `gw-2-server` | `hcloud:index/server:Server` |",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("the comment lacks %q:\n%s", want, text)
			}
		}
	})

	t.Run("a configuration that is wrong", func(t *testing.T) {
		replaceIn(t, d.repository, "Pulumi.prod.yaml", "type: cx23", "tpye: cx23")
		d.commit(t, d.repository, "Mistype")
		ran := preview(t, "clawft", "somebody", "prod")
		if !ran.failed {
			t.Error("the run is green")
		}
		if text := comment(t, "prod"); !strings.Contains(text, "### prod: failed") || !strings.Contains(text, "tpye") {
			t.Errorf("the comment:\n%s", text)
		}
	})
}
