package workflows_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/lab/engine"
	"github.com/clawft/infra/lab/toolchain"
)

// store is what the stand-in for actions/cache keeps, for all tests.
var store string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if store, err = os.MkdirTemp("", "clawft-workflows-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(store)
		return m.Run()
	}())
}

// runner executes workflows on this machine with nektos/act.
type runner struct {
	root string // the checkout
	path string // of act
	env  []string
	// actions are the stand-ins by OWNER/NAME.
	actions map[string]string
	// called is the repository of a called workflow, as OWNER/NAME@SHA=DIRECTORY.
	called string
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Ensure(t.Context(), root, t.Logf); err != nil {
		t.Fatal(err)
	}
	packages := []string{"curl", "git", "jq", "libssl-dev", "pkg-config"}
	if _, err := exec.LookPath("node"); err != nil {
		packages = append(packages, "nodejs") // act evaluates hashFiles with it
	}
	if err := engine.Packages(t.Context(), t.Logf, packages...); err != nil {
		t.Fatal(err)
	}
	act, err := toolchain.Ensure(t.Context(), root, toolchain.Act, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	sysroot, err := exec.Command("rustc", "--print", "sysroot").Output()
	if err != nil {
		t.Fatalf("looking for Rust: %v; install Rust 1.93 or newer with clippy and put it on PATH", err)
	}
	stand, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	r := &runner{root: root, path: act, actions: map[string]string{}, env: append(os.Environ(),
		"PATH="+filepath.Join(stand, "bin")+":"+os.Getenv("PATH"),
		"LAB_RUST="+strings.TrimSpace(string(sysroot)),
		"LAB_STORE="+store,
		// act's own copies of the repository and of the actions.
		"XDG_CACHE_HOME="+filepath.Join(work, "act"),
		"XDG_CONFIG_HOME="+filepath.Join(work, "act"),
		// What is tested is whether the gates notice, not how well the compiler does.
		"CARGO_PROFILE_RELEASE_LTO=off",
		"CARGO_PROFILE_RELEASE_OPT_LEVEL=0",
		"CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16",
		"CARGO_PROFILE_DEV_DEBUG=0",
	)}
	for _, name := range []string{"actions/cache", "docker/setup-buildx-action", "docker/build-push-action"} {
		r.actions[name] = filepath.Join(stand, "actions", name)
	}
	return r
}

// run is an execution of a workflow.
type run struct {
	failed bool
	jobs   map[string]string // success or failure, by the job's identifier
	logs   map[string]string // what each job printed
	log    string
}

// act runs an event's workflow in a repository.
func (r *runner) act(t *testing.T, repository, event string, args ...string) run {
	t.Helper()
	args = append([]string{event, "--json", "--platform", "ubuntu-latest=-self-hosted"}, args...)
	for _, pinned := range pinnedActions(t) {
		name, commit, _ := strings.Cut(pinned, "@")
		if parts := strings.Split(name, "/"); len(parts) > 2 { // an action in a directory of its repository
			name = parts[0] + "/" + parts[1]
			pinned = name + "@" + commit
		}
		if dir, ok := r.actions[name]; ok {
			args = append(args, "--local-repository", pinned+"="+dir)
		}
	}
	if r.called != "" {
		args = append(args, "--local-repository", r.called)
	}
	cmd := exec.CommandContext(t.Context(), r.path, args...)
	cmd.Dir, cmd.Env = repository, r.env
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	result := run{failed: err != nil, jobs: map[string]string{}, logs: map[string]string{}}
	var log strings.Builder
	lines := bufio.NewScanner(&output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Message   string `json:"msg"`
			Job       string `json:"jobID"`
			JobResult string `json:"jobResult"`
		}
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			log.WriteString(lines.Text() + "\n")
			continue
		}
		if entry.JobResult != "" {
			result.jobs[entry.Job] = entry.JobResult
		}
		message := strings.TrimRight(entry.Message, "\n") + "\n"
		result.logs[entry.Job] += message
		log.WriteString("[" + entry.Job + "] " + message)
	}
	result.log = log.String()
	return result
}

var usesPattern = regexp.MustCompile(`(?m)uses: ([A-Za-z0-9-]+/[A-Za-z0-9._/-]+@[0-9a-f]{40})`)

// pinnedActions are the actions that all workflows use, each as OWNER/NAME@SHA.
func pinnedActions(t *testing.T) []string {
	t.Helper()
	var pinned []string
	for _, text := range everyWorkflow(t) {
		for _, match := range usesPattern.FindAllStringSubmatch(text, -1) {
			pinned = append(pinned, match[1])
		}
	}
	slices.Sort(pinned)
	return slices.Compact(pinned)
}

func (r *runner) commit(t *testing.T, repository, message string) {
	t.Helper()
	r.command(t, repository, "git", "add", "--all")
	r.command(t, repository, "git", "-c", "user.name=Lab", "-c", "user.email=lab@example.com",
		"commit", "--quiet", "--allow-empty", "--message", message)
}

func (r *runner) command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	r.output(t, dir, name, args...)
}

func (r *runner) output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}
