package change

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/internal/testgit"
	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/internal/testregistry"
	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/cloudinit"
	"github.com/clawft/infra/lab/provider/github"
	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/provider/tls"
	"github.com/clawft/infra/lab/stack"
	"github.com/clawft/infra/lab/toolchain"
	"github.com/clawft/infra/pipeline"
)

// deployedDigest and anotherDigest are images that the registry has.
var deployedDigest, anotherDigest = "sha256:" + strings.Repeat("0", 64), "sha256:" + strings.Repeat("1", 64)

// checkout is asked for once: a world changes the working directory.
var checkout = sync.OnceValues(func() (string, error) { return filepath.Abs("../..") })

type keyPair struct{ private, public string }

// world is a stack: a server at Hetzner and an existing machine.
type world struct {
	// cloud stands in for Hetzner's plugin.
	cloud                        *holding
	root, pulumi, dir, providers string
	login, otherLogin            keyPair
	otherHostKey                 string
	signingKey, publicKey        string
	repository                   string
	// gitSource and deploySource are one repository for two users.
	gitSource, deploySource string
	base                    stack.Settings
}

func newKeyPair(t *testing.T) keyPair {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	require.NoError(t, err)
	key, err := ssh.NewPublicKey(public)
	require.NoError(t, err)
	return keyPair{string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))}
}

func deployed(t *testing.T, protect string) *world {
	t.Helper()
	w := newWorld(t, protect)
	_, err := w.open(t, nil).Up(t.Context(), optup.SuppressProgress())
	require.NoError(t, err)
	return w
}

// inCheckout is a directory in which the program finds the checkout that it is of.
func inCheckout(t *testing.T, root string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(root, ".lab"), 0o755))
	dir, err := os.MkdirTemp(filepath.Join(root, ".lab"), "change-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func newWorld(t *testing.T, protect string) *world {
	t.Helper()
	return newWorldOf(t, protect, hold(hcloud.New(hcloud.NewCloud(hcloud.Options{}))), record(map[string]string{"stdout": "recorded", "stderr": ""}, "triggers"))
}

// newWorldOf is a world with a Hetzner project, and with what runs commands.
func newWorldOf(t *testing.T, protect string, cloud *holding, command p.Provider) *world {
	t.Helper()
	root, err := checkout()
	require.NoError(t, err)
	w := &world{cloud: cloud, root: root, dir: inCheckout(t, root), login: newKeyPair(t), otherLogin: newKeyPair(t), otherHostKey: newKeyPair(t).public, repository: testregistry.New(t, deployedDigest, anotherDigest)}
	w.pulumi, err = toolchain.Ensure(t.Context(), root, toolchain.Pulumi, t.Logf)
	require.NoError(t, err)
	w.signingKey, w.publicKey = signingKey(t)
	hub, err := github.Open(filepath.Join(w.dir, "github"))
	require.NoError(t, err)
	require.NoError(t, hub.CreateRepository("clawft", "clawft", "main"))
	w.gitSource, w.deploySource = gitSource(t, "x-access-token"), gitSource(t, "deploy")
	servers, err := provider.Set{
		"cloudinit":    cloudinit.New(),
		"command":      command,
		"docker":       record(nil),
		"docker-build": record(map[string]string{"digest": "sha256:" + strings.Repeat("2", 64)}),
		"github":       github.New(hub),
		"hcloud":       w.cloud.Provider,
		"tls":          tls.New(),
	}.Serve(t.Context())
	require.NoError(t, err)
	t.Cleanup(servers.Close)
	w.providers = servers.Env()
	project := stack.ProjectDir(w.dir)
	require.NoError(t, os.MkdirAll(filepath.Join(project, "source"), 0o700))
	for _, name := range []string{"Dockerfile", "Other"} {
		require.NoError(t, os.WriteFile(filepath.Join(project, name), []byte("FROM scratch\n"), 0o600))
	}
	// Relative paths of the configuration start from the project's directory.
	t.Chdir(project)
	w.base = stack.Settings{
		"hcloud:token":                     hidden(strings.Repeat("lab0", 16)),
		"clawft:version":                   plain("0.6.19"),
		"clawft:image.repository":          plain(w.repository),
		"clawft:image.digest":              plain(deployedDigest),
		"clawft:hosts[0].name":             plain("gw-1"),
		"clawft:hosts[0].hcloud.type":      plain("cx23"),
		"clawft:hosts[0].hcloud.location":  plain("nbg1"),
		"clawft:hosts[0].hcloud.image":     plain("debian-12"),
		"clawft:hosts[1].name":             plain("gw-2"),
		"clawft:hosts[1].address":          plain("203.0.113.7"),
		"clawft:hosts[1].hostKey":          plain(newKeyPair(t).public),
		"clawft:sshPrivateKey":             hidden(w.login.private),
		"clawft:secrets.ANTHROPIC_API_KEY": hidden("first"),
		"clawft:protect":                   plain(protect),
	}
	return w
}

// open is the stack with some settings changed.
func (w *world) open(t *testing.T, changed stack.Settings) *stack.Stack {
	t.Helper()
	settings := maps.Clone(w.base)
	for key, value := range changed {
		settings[key] = value
		if value.Text == "" && !value.Secret {
			delete(settings, key)
		}
	}
	file := filepath.Join(w.dir, "Pulumi.change.yaml")
	require.NoError(t, os.WriteFile(file, []byte("config: {}\n"), 0o600))
	opened, err := stack.Open(t.Context(), stack.Options{
		Dir: w.dir, Name: "change", ProjectFile: filepath.Join(w.root, "Pulumi.yaml"), StackFile: file,
		Pulumi: w.pulumi, Providers: w.providers, Settings: settings, Program: pipeline.Deploy,
	})
	require.NoError(t, err)
	return opened
}

// preview lists what would be deleted or replaced of what holds data or has an
// address: servers, addresses, and the gateways of hosts. It is sorted.
func (w *world) preview(t *testing.T, changed stack.Settings) (lost []string, err error) {
	t.Helper()
	stream := make(chan events.EngineEvent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range stream {
			if event.ResourcePreEvent == nil {
				continue
			}
			step := event.ResourcePreEvent.Metadata
			if held(step) && slices.Contains([]apitype.OpType{apitype.OpDelete, apitype.OpReplace, apitype.OpCreateReplacement, apitype.OpDeleteReplaced}, step.Op) {
				lost = append(lost, step.URN[strings.LastIndex(step.URN, ":")+1:])
			}
		}
	}()
	_, err = w.open(t, changed).Preview(t.Context(), optpreview.EventStreams(stream), optpreview.SuppressProgress(), optpreview.ProgressStreams(io.Discard), optpreview.ErrorProgressStreams(io.Discard))
	<-done
	slices.Sort(lost)
	return slices.Compact(lost), err
}

func held(step apitype.StepEventMetadata) bool {
	switch {
	case strings.HasPrefix(step.Type, "hcloud:index/server:"), strings.HasPrefix(step.Type, "hcloud:index/primaryIp:"), strings.HasPrefix(step.Type, "hcloud:index/volume"):
		return true
	}
	return step.Type == "command:remote:Command" && strings.HasSuffix(step.URN, "-release")
}

// documented is what the description of a key says a change of it takes away.
func documented(about string) []string {
	switch {
	case strings.Contains(about, "A change replaces the server and its address"):
		return []string{"gw-1-ipv4", "gw-1-server"}
	case strings.Contains(about, "A change replaces the server"):
		return []string{"gw-1-server"}
	case strings.Contains(about, "is a new host: the old one is deleted"):
		return []string{"gw-1-ipv4", "gw-1-release", "gw-1-server"}
	case strings.Contains(about, "its gateway is removed from the old one first"):
		return []string{"gw-2-release"}
	}
	return nil
}

// No key of the configuration deletes or replaces a server, an address or a
// gateway, except those whose documentation says so.
func TestNoKeyReplacesAServerUnlessDocumented(t *testing.T) {
	w := deployed(t, "false")
	others := alternatives(w)
	documentation := keys(t, w.root)
	for _, key := range slices.Sorted(maps.Keys(documentation)) {
		t.Run(key, func(t *testing.T) {
			other, known := others[key]
			if !known {
				t.Fatalf("there is no other value of %s to try; add one to alternatives", key)
			}
			changed := maps.Clone(other.with)
			if changed == nil {
				changed = stack.Settings{}
			}
			if other.value != "{}" {
				changed[w.path(key)] = stack.Value{Text: other.value, Secret: other.secret}
			}
			lost, err := w.preview(t, changed)
			require.NoError(t, err)
			want := documented(documentation[key])
			if !slices.Equal(lost, want) {
				t.Errorf("a change of %s would take away %v; the documentation says %v: %s", key, lost, want, documentation[key])
			}
		})
	}
	for key := range others {
		if _, found := documentation[key]; !found {
			t.Errorf("%s is not a key any more", key)
		}
	}
}

// Where a stack is protected, what would take a server away is refused, and a
// login key can be changed all the same.
func TestProtection(t *testing.T) {
	w := deployed(t, "true")
	lost, err := w.preview(t, stack.Settings{"clawft:sshPrivateKey": hidden(w.otherLogin.private)})
	require.NoError(t, err)
	require.Empty(t, lost)
	for key, value := range map[string]string{"clawft:hosts[0].hcloud.image": "ubuntu-24.04", "clawft:hosts[0].hcloud.location": "fsn1"} {
		_, err := w.preview(t, stack.Settings{key: plain(value)})
		require.ErrorContains(t, err, "marked for protection", key)
	}
}

func signingKey(t *testing.T) (private, public string) {
	t.Helper()
	key, text := testkey.New(t)
	return text, key.Public().String()
}

// gitSource is a repository with a branch main, for a user with the token "token".
func gitSource(t *testing.T, user string) string {
	t.Helper()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", "source.git"},
		{"-C", "source.git", "config", "uploadpack.allowFilter", "true"},
		{"-C", "source.git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "--allow-empty", "-m", "first"},
	} {
		command := exec.CommandContext(t.Context(), "git", args...)
		command.Dir = dir
		output, err := command.CombinedOutput()
		require.NoError(t, err, string(output))
	}
	return testgit.Serve(t, dir, user, "token").URL + "/source.git"
}

// A host is renamed to what another one was called, which goes in the same change:
// the engine would keep that other one and delete the one that was to stay.
func TestRenameToTheNameOfAnotherServer(t *testing.T) {
	w := newWorld(t, "false")
	alone := maps.Clone(w.base)
	for key, value := range map[string]string{"name": "gw-3", "hcloud.type": "cx23", "hcloud.location": "nbg1", "hcloud.image": "debian-12"} {
		w.base["clawft:hosts[2]."+key] = plain(value)
	}
	_, err := w.open(t, nil).Up(t.Context(), optup.SuppressProgress())
	require.NoError(t, err)
	w.base = alone
	renamed := stack.Settings{"clawft:hosts[0].name": plain("gw-3"), "clawft:hosts[0].was": plain("gw-1")}
	lost, err := w.preview(t, renamed)
	require.ErrorContains(t, err, "host gw-3, which was gw-1: there are servers of both names")
	require.Empty(t, lost)
	_, err = w.open(t, nil).Up(t.Context(), optup.SuppressProgress())
	require.NoError(t, err)
	lost, err = w.preview(t, renamed)
	require.NoError(t, err)
	require.Empty(t, lost)
}
