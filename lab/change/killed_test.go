package change

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/stack"
)

// holding is a plugin that makes what it is told to, and whose answer does not come
// where it is told to hold it.
type holding struct {
	p.Provider

	mu    sync.Mutex
	names []string
	made  chan struct{}
}

func hold(plugin p.Provider) *holding {
	h := &holding{Provider: plugin}
	create := plugin.Create
	h.Create = func(ctx context.Context, r p.CreateRequest) (p.CreateResponse, error) {
		answer, err := create(context.WithoutCancel(ctx), r)
		if err == nil && !r.DryRun && h.holds(r.Urn.Name()) {
			<-ctx.Done() // the engine is gone
		}
		return answer, err
	}
	return h
}

// at holds the answers to the creation of resources, all of which are there when made
// is closed.
func (h *holding) at(names ...string) (made <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names, h.made = slices.Clone(names), make(chan struct{})
	return h.made
}

func (h *holding) holds(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.names, name) {
		return false
	}
	if h.names = slices.DeleteFunc(h.names, func(one string) bool { return one == name }); len(h.names) == 0 {
		close(h.made)
	}
	return true
}

// has lists what there is, by kind: how many, and their IDs.
func (h *holding) has(t *testing.T) map[string][]string {
	t.Helper()
	there := map[string][]string{}
	for _, kind := range []string{"servers", "primaryIps", "sshKeys", "firewalls"} {
		function := "get" + strings.ToUpper(kind[:1]) + kind[1:]
		answer, err := h.Invoke(t.Context(), p.InvokeRequest{Token: tokens.Type("hcloud:index/" + function + ":" + function)})
		require.NoError(t, err)
		for _, one := range answer.Return.Get(kind).AsArray().All {
			if one.AsMap().Get("labels").AsMap().Len() == 0 {
				continue // an IPv6 address, which comes and goes with its server
			}
			there[kind] = append(there[kind], strconv.FormatFloat(one.AsMap().Get("id").AsNumber(), 'f', 0, 64))
		}
	}
	return there
}

// killAt starts an update and kills the engine while resources are created.
func (w *world) killAt(t *testing.T, names []string, changed stack.Settings) {
	t.Helper()
	opened := w.open(t, changed)
	made := w.cloud.at(names...)
	ended := make(chan error, 1)
	go func() {
		_, err := opened.Up(context.WithoutCancel(t.Context()), optup.SuppressProgress())
		ended <- err
	}()
	select {
	case <-made:
	case err := <-ended:
		t.Fatalf("the update ended before it created %s: %v", names, err)
	}
	// Everything else that goes on at the same time ends before: what the engine does to
	// its state when it is killed as it writes is not the question.
	time.Sleep(time.Second)
	w.killEngine(t)
	require.Error(t, <-ended)
}

// killEngine kills the pulumi process of this stack.
func (w *world) killEngine(t *testing.T) {
	t.Helper()
	mark := []byte("PULUMI_HOME=" + filepath.Join(w.dir, "home") + "\x00")
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	killed := 0
	for _, path := range processes {
		environment, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append(environment, 0), mark) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		killed++
	}
	require.Equal(t, 1, killed, "engines that were killed")
}

// wayOut are the commands that the documentation has for somebody whose pulumi was
// killed, the last of which is an update.
func wayOut(t *testing.T, root string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "hosts.md"))
	require.NoError(t, err)
	section := regexp.MustCompile("(?s)## When `pulumi` was killed\n.*?```\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, section, "docs/hosts.md does not say what to do")
	return strings.Split(strings.TrimSpace(string(section[1])), "\n")
}

// goOn runs the documented commands, in a terminal in which nobody answers. The error
// is the update's.
func (w *world) goOn(t *testing.T, changed stack.Settings) error {
	t.Helper()
	opened := w.open(t, changed)
	for _, line := range wayOut(t, w.root) {
		if line == "pulumi up --yes" {
			_, err := opened.Up(t.Context(), optup.SuppressProgress())
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		terminal := exec.CommandContext(ctx, "script", "--quiet", "--return", "--command", line, os.DevNull)
		terminal.Dir = stack.ProjectDir(w.dir)
		terminal.Env = append(os.Environ(),
			"PATH="+filepath.Join(w.dir, "cli", "bin")+":"+os.Getenv("PATH"),
			"PULUMI_HOME="+filepath.Join(w.dir, "home"),
			"PULUMI_STACK=change",
		)
		for name, value := range opened.Workspace().GetEnvVars() {
			terminal.Env = append(terminal.Env, name+"="+value)
		}
		output, err := terminal.CombinedOutput()
		require.NoError(t, err, "%s\n%s", line, output)
	}
	t.Fatal("the last command is no update")
	return nil
}

// wantWhole demands that what the state has is what there is, that an update would
// change nothing, and that nothing of a killed one is left to be warned of.
func (w *world) wantWhole(t *testing.T, changed stack.Settings) {
	t.Helper()
	opened := w.open(t, changed)
	var deployment apitype.DeploymentV3
	exported, err := opened.Export(t.Context())
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(exported.Deployment, &deployment))
	require.Empty(t, deployment.PendingOperations)
	known := map[string][]string{}
	for kind, token := range map[string]string{"servers": "server:Server", "primaryIps": "primaryIp:PrimaryIp", "sshKeys": "sshKey:SshKey", "firewalls": "firewall:Firewall"} {
		for _, resource := range deployment.Resources {
			if string(resource.Type) == "hcloud:index/"+token {
				known[kind] = append(known[kind], string(resource.ID))
			}
		}
	}
	for kind, there := range w.cloud.has(t) {
		require.ElementsMatch(t, known[kind], there, kind)
	}
	preview, err := opened.Preview(t.Context(), optpreview.ExpectNoChanges(), optpreview.SuppressProgress())
	require.NoError(t, err, preview.StdOut)
}

// Whatever is created at Hetzner when pulumi is killed, the documented commands go
// on from there, without a question, and what was created is used.
func TestKilledWhileCreating(t *testing.T) {
	third := stack.Settings{
		"clawft:hosts[2].name": plain("gw-3"), "clawft:hosts[2].hcloud.type": plain("cx23"),
		"clawft:hosts[2].hcloud.location": plain("nbg1"), "clawft:hosts[2].hcloud.image": plain("debian-12"),
	}
	for _, test := range []struct {
		name     string
		deployed bool
		// killed are the resources at which pulumi is killed, one time after the other.
		killed  [][]string
		changed stack.Settings
	}{
		{"a new stack", false, [][]string{{"access-key", "access-firewall", "gw-1-ipv4"}, {"gw-1-server"}}, stack.Settings{"clawft:protect": plain("true")}},
		{"another host", true, [][]string{{"gw-3-ipv4"}, {"gw-3-server"}}, third},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, "false")
			if test.deployed {
				_, err := w.open(t, nil).Up(t.Context(), optup.SuppressProgress())
				require.NoError(t, err)
			}
			for i, names := range test.killed {
				if i > 0 {
					require.NoError(t, w.open(t, nil).Cancel(t.Context()))
				}
				w.killAt(t, names, test.changed)
			}
			left := w.cloud.has(t)
			require.NoError(t, w.goOn(t, test.changed))
			for kind, ids := range left {
				require.Subset(t, w.cloud.has(t)[kind], ids, "what a killed run had created is not used")
			}
			w.wantWhole(t, test.changed)
		})
	}
}

// What replaces something the engine imports only with its predecessor, which it then
// never forgets. It is empty, so it goes.
func TestKilledWhileReplacing(t *testing.T) {
	w := deployed(t, "false")
	changed := stack.Settings{"clawft:hosts[0].hcloud.image": plain("ubuntu-24.04")}
	w.killAt(t, []string{"gw-1-server"}, changed)
	err := w.goOn(t, changed)
	require.ErrorContains(t, err, "server name is already used")
	require.ErrorContains(t, err, "hcloud server delete gw-1, then pulumi up")
	for _, id := range w.cloud.has(t)["servers"] {
		require.NoError(t, w.cloud.Delete(t.Context(), p.DeleteRequest{ID: id, Urn: "urn:pulumi:change::clawft::hcloud:index/server:Server::gw-1-server"}))
	}
	_, err = w.open(t, changed).Up(t.Context(), optup.SuppressProgress())
	require.NoError(t, err)
	w.wantWhole(t, changed)
}
