package github_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optimport"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/components/workflows"
	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/command"
	standin "github.com/clawft/infra/lab/provider/github"
	"github.com/clawft/infra/lab/provider/tls"
	"github.com/clawft/infra/lab/toolchain"
)

const canary = "canary-51c0ffee"

// settings are what the tests change in the program.
type settings struct {
	wasmKiB int
	bypass  components.Actor
	app     string // the number of a GitHub App; the program uses a token without
	secret  string
	token   string

	enforcement string
	reviewers   []int
	unchecked   bool // what the plan includes is not asked
}

// admin is who a token belongs to in the lab.
var admin = components.Actor{Type: "RepositoryRole", ID: 5}

// lab is a GitHub and a stack that manages a repository there.
type lab struct {
	hub      *standin.Hub
	state    string // the stack's state file
	stack    auto.Stack
	settings settings
}

func (l *lab) program(ctx *pulumi.Context) error {
	use, err := l.provider(ctx)
	if err != nil {
		return err
	}
	_, err = components.NewRepository(ctx, "repository", &components.RepositoryArgs{
		Owner: "clawft",
		Name:  "clawft",
		Workflows: workflows.Inputs{
			DefaultBranch: "main",
			Image:         "ghcr.io/clawft/clawft",
			Toolchain:     "1.93",
			Limits:        workflows.Limits{BinaryMiB: 10, WasmKiB: l.settings.wasmKiB, WasmGzipKiB: 120, ImageMiB: 50},
			HealthTimeout: 30,
			Dockerfile:    "FROM scratch\n",
			Infra:         workflows.Infra{Repository: "clawft/infra", Ref: strings.Repeat("a", 40), Version: "v1.2.0"},
			Stack:         "prod",
		},
		Enforcement:     l.settings.enforcement,
		RequiredReviews: 1,
		LinearHistory:   true,
		Bypass:          &l.settings.bypass,
		Environment:     components.EnvironmentArgs{Name: "prod", ReviewerUsers: l.settings.reviewers},
		Variables:       map[string]string{"PULUMI_BACKEND_URL": "s3://state"},
		Secrets:         pulumi.StringMap{"PULUMI_ACCESS_TOKEN": pulumi.ToSecret(pulumi.String(l.settings.secret)).(pulumi.StringOutput)},
	}, use)
	return err
}

// provider is the pipeline's, or one that is a GitHub App.
func (l *lab) provider(ctx *pulumi.Context) (pulumi.ResourceOption, error) {
	if l.settings.app != "" {
		hub, err := github.NewProvider(ctx, "github", &github.ProviderArgs{Owner: pulumi.String("clawft"), AppAuth: github.ProviderAppAuthArgs{
			Id: pulumi.String(l.settings.app), InstallationId: pulumi.String("1"), PemFile: pulumi.String("key"),
		}})
		return pulumi.Providers(hub), err
	}
	providers, err := components.NewProviders(ctx, &components.ProvidersArgs{
		GitHub: &components.GitHubProviderArgs{Owner: "clawft", Token: pulumi.StringPtr(l.settings.token)},
	})
	if err != nil {
		return nil, err
	}
	if !l.settings.unchecked {
		err = components.CheckRepository(ctx, providers, &components.RepositoryNeeds{
			Owner: "clawft", Name: "clawft", Enforcement: l.settings.enforcement, Reviewers: len(l.settings.reviewers),
		})
	}
	return providers.Option(), err
}

// newLab opens a stack on a hub in dir, whose repository may exist already.
func newLab(t *testing.T, dir string) *lab {
	t.Helper()
	hub, err := standin.Open(filepath.Join(dir, "github"))
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.CreateRepository("clawft", "clawft", "main"); err != nil {
		t.Fatal(err)
	}
	server, err := provider.Set{"command": command.New(), "github": standin.New(hub), "tls": tls.New()}.Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)

	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := toolchain.Ensure(t.Context(), root, toolchain.Pulumi, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	for _, sub := range []string{"engine/bin", "state", "home", "project"} {
		if err := os.MkdirAll(filepath.Join(work, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(binary, filepath.Join(work, "engine/bin/pulumi")); err != nil {
		t.Fatal(err)
	}
	command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: filepath.Join(work, "engine"), SkipVersionCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{hub: hub, state: filepath.Join(work, "state/.pulumi/stacks/clawft/prod.json"), settings: settings{
		wasmKiB: 300, bypass: admin, secret: canary, token: "lab-token", enforcement: "active", reviewers: []int{7},
	}}
	l.stack, err = auto.UpsertStackInlineSource(t.Context(), "prod", "clawft", l.program,
		auto.WorkDir(filepath.Join(work, "project")),
		auto.PulumiHome(filepath.Join(work, "home")),
		auto.Pulumi(command),
		auto.EnvVars(map[string]string{
			"PULUMI_BACKEND_URL":       "file://" + filepath.Join(work, "state"),
			"PULUMI_CONFIG_PASSPHRASE": "passphrase",
			"PULUMI_DEBUG_PROVIDERS":   server.Env(),
			"PULUMI_DEBUG_LANGUAGES":   languageHost(t),
			"PULUMI_SKIP_UPDATE_CHECK": "true",
		}))
	if err != nil {
		t.Fatal(err)
	}
	// For the default provider, which an import uses.
	if err := l.stack.SetAllConfig(t.Context(), auto.ConfigMap{
		"github:owner": {Value: "clawft"}, "github:token": {Value: "lab-token", Secret: true},
	}); err != nil {
		t.Fatal(err)
	}
	return l
}

// languageHost is what `pulumi import` starts before it imports anything, though
// it asks it for nothing but its name.
func languageHost(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	rpc.RegisterLanguageRuntimeServer(server, host{})
	go func() { _ = server.Serve(listener) }() // until it is stopped
	t.Cleanup(server.Stop)
	return fmt.Sprintf("go:%d", listener.Addr().(*net.TCPAddr).Port)
}

type host struct {
	rpc.UnimplementedLanguageRuntimeServer
}

func (host) Handshake(context.Context, *rpc.LanguageHandshakeRequest) (*rpc.LanguageHandshakeResponse, error) {
	return &rpc.LanguageHandshakeResponse{}, nil
}

func (host) GetPluginInfo(context.Context, *emptypb.Empty) (*rpc.PluginInfo, error) {
	return &rpc.PluginInfo{Version: "0.0.0"}, nil
}

func (l *lab) up(ctx context.Context, options ...optup.Option) (map[string]int, error) {
	result, err := l.stack.Up(ctx, options...)
	if err != nil {
		return nil, err
	}
	return *result.Summary.ResourceChanges, nil
}

// mustUp demands that an update makes exactly these changes.
func (l *lab) mustUp(t *testing.T, want map[string]int, options ...optup.Option) {
	t.Helper()
	got, err := l.up(t.Context(), options...)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{"create", "update", "replace", "delete"} {
		if got[op] != want[op] {
			t.Fatalf("the update made the changes %v, want %v", got, want)
		}
	}
}

func (l *lab) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// show is a file at the tip of main.
func (l *lab) show(t *testing.T, path string) string {
	t.Helper()
	return l.git(t, l.hub.GitDir("clawft", "clawft"), "show", "main:"+path)
}

func (l *lab) record(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(strings.TrimSuffix(l.hub.GitDir("clawft", "clawft"), ".git") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The resources of the program: the stack, 3 providers, 2 components, 6 files,
// 3 rulesets, an environment, its policy, a secret and a variable.
const everything = 19

func TestRepositoryUnderTheRealEngine(t *testing.T) {
	l := newLab(t, t.TempDir())

	l.mustUp(t, map[string]int{"create": everything})
	t.Run("files are commits", func(t *testing.T) {
		clone := filepath.Join(t.TempDir(), "clone")
		l.git(t, "/", "clone", "--quiet", l.hub.GitDir("clawft", "clawft"), clone)
		for _, file := range []string{workflows.PRGatesPath, workflows.ReleasePath, ".github/gates/size.sh"} {
			if _, err := os.Stat(filepath.Join(clone, file)); err != nil {
				t.Error(err)
			}
		}
		log := l.git(t, clone, "log", "--format=%s")
		if got := strings.Count(log, "ci: update .github/"); got != 6 {
			t.Errorf("%d commits for 6 files:\n%s", got, log)
		}
		// The last commit is the workflow that needs all the others.
		if !strings.HasPrefix(log, "ci: update .github/workflows/release.yml") {
			t.Errorf("the order of commits:\n%s", log)
		}
	})
	t.Run("the rest is recorded", func(t *testing.T) {
		var record struct {
			Rulesets     map[string]struct{ Name string }
			Environments map[string]struct {
				Policies map[string]struct{ Tag string }
				Secrets  map[string]any
			}
			Variables map[string]struct{ Value string }
		}
		if err := json.Unmarshal([]byte(l.record(t)), &record); err != nil {
			t.Fatal(err)
		}
		prod := record.Environments["prod"]
		if len(record.Rulesets) != 3 || len(prod.Policies) != 1 || prod.Secrets["PULUMI_ACCESS_TOKEN"] == nil ||
			record.Variables["PULUMI_BACKEND_URL"].Value != "s3://state" {
			t.Errorf("recorded:\n%s", l.record(t))
		}
	})
	t.Run("the secret is nowhere", func(t *testing.T) {
		if strings.Contains(l.record(t), canary) {
			t.Error("GitHub's record has the secret in plain text")
		}
		state, err := os.ReadFile(l.state)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(state), "PULUMI_ACCESS_TOKEN") || strings.Contains(string(state), canary) {
			t.Error("the state has the secret in plain text, or not at all")
		}
	})

	t.Run("a second update changes nothing", func(t *testing.T) { l.mustUp(t, nil) })

	t.Run("an edit by hand is drift", func(t *testing.T) {
		want := l.show(t, workflows.PRGatesPath)
		clone := filepath.Join(t.TempDir(), "clone")
		l.git(t, "/", "clone", "--quiet", l.hub.GitDir("clawft", "clawft"), clone)
		path := filepath.Join(clone, workflows.PRGatesPath)
		if err := os.WriteFile(path, []byte(strings.Replace(want, "raw=300KiB", "raw=999KiB", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		l.git(t, clone, "commit", "--quiet", "--all", "--message", "Make it fit")
		l.git(t, clone, "push", "--quiet", "origin", "main")

		preview, err := l.stack.Preview(t.Context(), optpreview.Refresh())
		if err != nil {
			t.Fatal(err)
		}
		if got := preview.ChangeSummary[apitype.OpUpdate]; got != 1 {
			t.Errorf("the preview shows %d updates: %v", got, preview.ChangeSummary)
		}
		l.mustUp(t, map[string]int{"update": 1}, optup.Refresh())
		if got := l.show(t, workflows.PRGatesPath); got != want {
			t.Errorf("the edit was not undone:\n%s", got)
		}
	})

	t.Run("a ruleset changed by hand is drift", func(t *testing.T) {
		path := strings.TrimSuffix(l.hub.GitDir("clawft", "clawft"), ".git") + ".json"
		weaker := strings.Replace(l.record(t), `"enforcement": "active"`, `"enforcement": "disabled"`, 1)
		if err := os.WriteFile(path, []byte(weaker), 0o644); err != nil {
			t.Fatal(err)
		}
		l.mustUp(t, map[string]int{"update": 1}, optup.Refresh())
		if strings.Contains(l.record(t), `"enforcement": "disabled"`) {
			t.Error("the ruleset is still disabled")
		}
	})

	t.Run("the bypass actor may update files", func(t *testing.T) {
		l.settings.wasmKiB = 310
		l.mustUp(t, map[string]int{"update": 1})
		if !strings.Contains(l.show(t, workflows.PRGatesPath), "raw=310KiB") {
			t.Error("the new limit is not in the repository")
		}
	})

	t.Run("an app may, if it is the one that is named", func(t *testing.T) {
		l.settings.bypass, l.settings.app = components.Actor{Type: "Integration", ID: 4711}, "4711"
		l.mustUp(t, map[string]int{"update": 2, "delete": 2}) // the ruleset and the provider, which is the only one
		l.settings.wasmKiB = 320
		l.mustUp(t, map[string]int{"update": 1})
	})

	t.Run("nobody else may", func(t *testing.T) {
		l.settings.app = "4712"
		l.settings.wasmKiB = 330
		_, err := l.up(t.Context())
		if err == nil {
			t.Fatal("a ruleset that is active did not block the write")
		}
		for _, want := range []string{
			"409 Repository rule violations found: Changes must be made through a pull request. 5 of 5 required status checks are expected.",
			`ruleset "clawft default-branch" is active for main`,
			"Integration 4712 is not among its bypass actors; add it there, or make the change by a pull request",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the message does not say %q:\n%v", want, err)
			}
		}
		if !strings.Contains(l.show(t, workflows.PRGatesPath), "raw=320KiB") {
			t.Error("the file was changed all the same")
		}
		l.settings.app = "4711"
		l.mustUp(t, map[string]int{"update": 2}) // the file and the provider
	})

	t.Run("a changed secret is set anew", func(t *testing.T) {
		l.settings.secret = canary + "-2"
		l.mustUp(t, map[string]int{"update": 1})
	})

	t.Run("what protects the repository stays", func(t *testing.T) {
		if _, err := l.stack.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.show(t, workflows.PRGatesPath) == "" || strings.Count(l.record(t), `"enforcement": "active"`) != 3 {
			t.Errorf("what is left:\n%s", l.record(t))
		}
		if strings.Contains(l.record(t), "PULUMI_") {
			t.Errorf("secrets and variables are still there:\n%s", l.record(t))
		}
	})
}

func TestAdoptingWhatExists(t *testing.T) {
	dir := t.TempDir()
	before := newLab(t, dir)
	before.mustUp(t, map[string]int{"create": everything})
	commits := before.git(t, before.hub.GitDir("clawft", "clawft"), "rev-list", "--count", "main")
	if _, err := before.stack.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}

	l := newLab(t, dir)
	record := l.record(t)
	if _, err := l.stack.Preview(t.Context()); err == nil || !strings.Contains(err.Error(), "clawft/clawft has the environment prod already, which this stack did not make") {
		t.Fatalf("a preview of a stack that made nothing of it: %v", err)
	}
	if _, err := l.up(t.Context()); err == nil || !strings.Contains(err.Error(), "pulumi import --stack prod --protect=false --generate-code=false github:index/repositoryEnvironment:RepositoryEnvironment repository-environment 'clawft:prod'") {
		t.Fatalf("a stack that made nothing of it: %v", err)
	}
	if now := l.record(t); now != record {
		t.Errorf("something was changed:\n%s\nwas:\n%s", now, record)
	}

	if _, err := l.stack.ImportResources(t.Context(),
		optimport.Resources(l.existing(t)), optimport.Protect(false), optimport.GenerateCode(false)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.up(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := l.git(t, l.hub.GitDir("clawft", "clawft"), "rev-list", "--count", "main")
	if after != before.git(t, before.hub.GitDir("clawft", "clawft"), "rev-list", "--count", "main") || after != commits {
		t.Errorf("adopting made commits: %s before, %s after", strings.TrimSpace(commits), strings.TrimSpace(after))
	}
	if strings.Count(l.record(t), `"target": "branch"`) != 1 {
		t.Errorf("the rulesets are there twice:\n%s", l.record(t))
	}
	l.mustUp(t, nil)
}

// existing is what README.md tells how to import.
func (l *lab) existing(t *testing.T) []*optimport.ImportResource {
	t.Helper()
	var resources []*optimport.ImportResource
	add := func(typ, name, id string) {
		resources = append(resources, &optimport.ImportResource{Type: "github:index/" + typ, Name: name, ID: id})
	}
	for _, name := range []string{"size.sh", "image-size.sh", "smoke.sh"} {
		add("repositoryFile:RepositoryFile", "repository-"+strings.TrimSuffix(name, ".sh"), "clawft:.github/gates/"+name+":main")
	}
	add("repositoryFile:RepositoryFile", "repository-dockerfile", "clawft:.github/gates/Dockerfile:main")
	add("repositoryFile:RepositoryFile", "repository-pr-gates", "clawft:"+workflows.PRGatesPath+":")
	add("repositoryFile:RepositoryFile", "repository-release", "clawft:"+workflows.ReleasePath+":main")
	add("repositoryEnvironment:RepositoryEnvironment", "repository-environment", "clawft:prod")

	var record struct {
		Rulesets     map[string]struct{ Name string }
		Environments map[string]struct{ Policies map[string]any }
	}
	if err := json.Unmarshal([]byte(l.record(t)), &record); err != nil {
		t.Fatal(err)
	}
	for id, ruleset := range record.Rulesets {
		add("repositoryRuleset:RepositoryRuleset", "repository-"+strings.TrimPrefix(ruleset.Name, "clawft "), "clawft:"+id)
	}
	for id := range record.Environments["prod"].Policies {
		add("repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy", "repository-release-tags-only", fmt.Sprintf("clawft:prod:%s", id))
	}
	slices.SortFunc(resources, func(a, b *optimport.ImportResource) int { return strings.Compare(a.Name, b.Name) })
	return resources
}

// What GitHub refuses because of the plan, or of the token, leaves nothing behind.
func TestRefusalsComeBeforeTheFirstCommit(t *testing.T) {
	l := newLab(t, t.TempDir())
	commits := func() string {
		return strings.TrimSpace(l.git(t, l.hub.GitDir("clawft", "clawft"), "rev-list", "--count", "main"))
	}
	before := commits()
	preview := func(want string) {
		t.Helper()
		if _, err := l.stack.Preview(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the preview does not say %q: %v", want, err)
		}
	}

	l.settings.token = "wrong"
	preview("github:token is wrong: GitHub answers 401")
	l.settings.token = "lab-token"

	if err := l.hub.MakePrivate("clawft", "clawft"); err != nil {
		t.Fatal(err)
	}
	preview("rulesets, because it is private; make it public, use GitHub Pro, Team or Enterprise, or set clawft:github.enforcement to none")

	// Without the question, and with reviewers or without.
	l.settings.unchecked = true
	for _, reviewers := range [][]int{{7}, nil} {
		l.settings.reviewers = reviewers
		if _, err := l.up(t.Context()); err == nil || !strings.Contains(err.Error(), "403 Upgrade to GitHub Pro") && !strings.Contains(err.Error(), "422 Failed to create the environment protection rule") {
			t.Errorf("reviewers %v: %v", reviewers, err)
		}
		if now := commits(); now != before {
			t.Errorf("reviewers %v: %s commits, and %s before", reviewers, now, before)
		}
	}

	// The way out that the message names.
	l.settings.unchecked, l.settings.enforcement = false, components.NoRulesets
	if _, err := l.up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if commits() == before || strings.Contains(l.record(t), "clawft release-tags") {
		t.Errorf("after it: %s commits, and\n%s", commits(), l.record(t))
	}
}
