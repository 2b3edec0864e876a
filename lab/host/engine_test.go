package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/engine"
	"github.com/clawft/infra/host/network"
	"github.com/clawft/infra/host/release"
)

// gateway is the place of the tests' gateway, unlike anybody's.
const gateway = "lab-host-test"

var owner = release.Owner{ID: "0123456789abcdef", Gateway: "gw-1", Stack: "acme/clawft/dev"}

// bench is an engine, and what a gateway needs on it.
type bench struct {
	*engine.Engine
	// api is somebody else who asks the engine.
	api  *client.Client
	info deploy.EngineInfo
	*registry
	data, config string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	launcher, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Socket, launcher)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	api, err := client.New(client.WithHost("unix://" + engine.Socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	directory := t.TempDir()
	b := &bench{Engine: e, api: api, registry: newRegistry(t), data: filepath.Join(directory, "data"), config: filepath.Join(directory, "config.json")}
	if b.info, err = e.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.config, []byte(`{"gateway":{}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(b.data, 0o750), os.Chown(b.data, 10001, 10001)); err != nil {
		t.Fatal(err)
	}
	b.clear()
	t.Cleanup(b.clear)
	return b
}

// clear removes what a test has left.
func (b *bench) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list, _ := b.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	for _, c := range list.Items {
		if strings.Contains(strings.Join(c.Names, " "), gateway) {
			b.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}) //nolint:errcheck // as much as there is
		}
	}
	networks, _ := b.api.NetworkList(ctx, client.NetworkListOptions{})
	for _, n := range networks.Items {
		if strings.Contains(n.Name, gateway) {
			b.api.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}) //nolint:errcheck // as above
		}
	}
	if b.registry != nil {
		images, _ := b.api.ImageList(ctx, client.ImageListOptions{All: true})
		for _, i := range images.Items {
			if strings.Contains(strings.Join(slices.Concat(i.RepoDigests, i.RepoTags), " "), b.repository) {
				b.api.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true}) //nolint:errcheck // as above
			}
		}
	}
}

// container returns what a gateway of an image is made of.
func (b *bench) container(image string) deploy.Container {
	return deploy.Container{
		Name: "clawft-" + gateway, Network: "clawft-" + gateway, Gateway: gateway, Config: b.config, Data: b.data,
		Release: release.Release{Owner: owner, Image: image, Version: "0.6.19", Port: 18789, MemoryMiB: 64, Pids: 32, Spec: release.Spec},
	}
}

func (b *bench) networkOf(c deploy.Container) deploy.Network {
	return deploy.Network{Name: c.Network, Bridge: network.Bridge(c.Network), Owner: owner.ID, Gateway: gateway}
}

// pulled returns the name of an image that the engine has.
func (b *bench) pulled(t *testing.T) string {
	t.Helper()
	image := b.push(t, here, "arm")
	if err := b.Pull(t.Context(), image, nil); err != nil {
		t.Fatal(err)
	}
	return image
}

// create makes a container with its network.
func (b *bench) create(t *testing.T, c deploy.Container) string {
	t.Helper()
	if err := b.EnsureNetwork(t.Context(), b.networkOf(c)); err != nil {
		t.Fatal(err)
	}
	id, err := b.Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// output keeps what a container writes.
type output struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(data []byte) (int, error) {
	o.lock.Lock()
	defer o.lock.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.lock.Lock()
	defer o.lock.Unlock()
	return o.text.String()
}

// ask repeats a question until the witness answers.
func ask(t *testing.T, address netip.Addr, path string) []byte {
	t.Helper()
	url := fmt.Sprintf("http://%s%s", netip.AddrPortFrom(address, 18789), path)
	var last error
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(url)
		if err != nil {
			last = err
			continue
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	t.Fatalf("%s does not answer: %v", url, last)
	return nil
}

// report is what the witness says.
type report struct {
	Args, Environment []string
	Status            map[string]string
	Writable          []string
	Config, Stdin     string
}

const secret = "sk-very-secret-0123456789"

func TestEngineInfo(t *testing.T) {
	b := newBench(t)
	if b.info.Version == "" || b.info.APIVersion == "" || b.info.Platform != "linux/"+here || b.info.Rootless || b.info.Podman {
		t.Errorf("got %+v", b.info)
	}
	t.Logf("Docker %s, API %s", b.info.Version, b.info.APIVersion)
}

func TestContainer(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	c := b.container(b.pulled(t))
	id := b.create(t, c)

	if platform, err := b.Program(ctx, id); err != nil || platform != "linux/"+here {
		t.Errorf("program: got %q, %v", platform, err)
	}
	env := map[string]string{"ANTHROPIC_API_KEY": secret, "MULTILINE": "a\nb", "RUST_LOG": "debug"}
	var out output
	address, err := b.Start(ctx, id, env, &out)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(ask(t, address, "/"), &r); err != nil {
		t.Fatal(err)
	}
	t.Run("what the program sees", func(t *testing.T) {
		slices.Sort(r.Environment)
		r.Environment = slices.DeleteFunc(r.Environment, func(entry string) bool { return strings.HasPrefix(entry, "HOSTNAME=") })
		want := []string{"ANTHROPIC_API_KEY=" + secret, "HOME=/home/weft", "MULTILINE=a\nb", "PATH=/usr/local/bin", "PORT=18789", "RUST_LOG=debug", "WEFTOS_NO_UPDATE_CHECK=1"}
		if !slices.Equal(r.Environment, want) {
			t.Errorf("environment: got %q, want %q", r.Environment, want)
		}
		if want := []string{"/usr/local/bin/weft", "gateway", "--config", "/etc/clawft/config.json"}; !slices.Equal(r.Args, want) {
			t.Errorf("arguments: got %q, want %q", r.Args, want)
		}
		if want := []string{"/tmp", "/home/weft/.clawft"}; !slices.Equal(r.Writable, want) {
			t.Errorf("writable: got %q, want %q", r.Writable, want)
		}
		if r.Config != `{"gateway":{}}` || r.Stdin != "/dev/null" {
			t.Errorf("config: got %q, standard input: got %q", r.Config, r.Stdin)
		}
		for name, want := range map[string]string{
			"Uid": "10001 10001 10001 10001", "Gid": "10001 10001 10001 10001", "NoNewPrivs": "1",
			"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapBnd": "0000000000000000", "Seccomp": "2",
		} {
			if r.Status[name] != want {
				t.Errorf("%s: got %q, want %q", name, r.Status[name], want)
			}
		}
	})
	t.Run("what the engine keeps", func(t *testing.T) { b.nowhere(t, id) })
	t.Run("what others reach", func(t *testing.T) {
		found, err := b.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if ports := found.Container.NetworkSettings.Ports; len(ports) != 0 || len(found.Container.HostConfig.PortBindings) != 0 {
			t.Errorf("ports are published: %v", ports)
		}
		host := found.Container.HostConfig
		if host.Memory != 64<<20 || host.MemorySwap != 64<<20 || host.PidsLimit == nil || *host.PidsLimit != 32 || host.UsernsMode != "host" || host.RestartPolicy.Name != "no" && host.RestartPolicy.Name != "" {
			t.Errorf("limits: got %+v, %s, %+v", host.Resources, host.UsernsMode, host.RestartPolicy)
		}
		if _, err := net.InterfaceByName(network.Bridge(c.Network)); err != nil {
			t.Errorf("the bridge: %v", err)
		}
	})
	t.Run("listed", func(t *testing.T) {
		found, err := b.Containers(ctx, gateway)
		want := []deploy.ContainerInfo{{ID: id, Name: c.Name, Image: c.Release.Image, Owner: owner.ID, Gateway: gateway, Running: true}}
		if err != nil || !slices.Equal(found, want) {
			t.Errorf("got %+v, %v\nwant %+v", found, err, want)
		}
	})

	start := time.Now()
	if err := b.Stop(ctx, id); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("stopping took %v: the program did not hear SIGINT", took)
	}
	exit, err := b.Wait(ctx, id)
	if err != nil || exit != (deploy.Exit{}) {
		t.Errorf("exit: got %+v, %v", exit, err)
	}
	text := out.String()
	for _, line := range []string{`{"Args":["/usr/local/bin/weft"`, "witness on standard error\n", "witness interrupted\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("the output lacks %q:\n%s", line, text)
		}
	}
	if found, err := b.Containers(ctx, gateway); err != nil || len(found) != 1 || found[0].Running {
		t.Errorf("after the end: got %+v, %v", found, err)
	}
	for range 2 {
		if err := b.Remove(ctx, id); err != nil {
			t.Errorf("removing: %v", err)
		}
		if err := b.Stop(ctx, id); err != nil {
			t.Errorf("stopping what is not there: %v", err)
		}
	}
	if found, err := b.Containers(ctx, gateway); err != nil || len(found) != 0 {
		t.Errorf("after the removal: got %+v, %v", found, err)
	}
	if left, err := os.ReadDir(b.data); err != nil || len(left) != 0 {
		t.Errorf("left in the data: %v, %v", left, err)
	}
}

// nowhere looks for the secret in every answer about a container and every file that the engine keeps of it.
func (b *bench) nowhere(t *testing.T, id string) {
	t.Helper()
	found, err := b.api.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(found.Raw, []byte(secret)) {
		t.Error("docker inspect shows the secret")
	}
	info, err := b.api.Info(t.Context(), client.InfoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, directory := range []string{
		filepath.Join(info.Info.DockerRootDir, "containers", id),
		"/run/docker/containerd", "/var/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/" + id,
		"/run/containerd/io.containerd.runtime.v2.task/moby/" + id, "/run/docker/runtime-runc/moby/" + id,
	} {
		filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error { //nolint:errcheck // not all are there
			if err != nil || !entry.Type().IsRegular() {
				return nil //nolint:nilerr // what is gone has no secret
			}
			text, err := os.ReadFile(path)
			if err == nil && bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s has the secret", path)
			}
			looked++
			return nil
		})
	}
	if looked < 5 {
		t.Errorf("looked at %d files only", looked)
	}
}

// A preflight's container is a gateway's, but for where its output goes.
func TestPreflightIsProduction(t *testing.T) {
	b := newBench(t)
	c := b.container(b.pulled(t))
	inspect := func(c deploy.Container) container.InspectResponse {
		t.Helper()
		found, err := b.api.ContainerInspect(t.Context(), b.create(t, c), client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return found.Container
	}
	production := inspect(c)
	c.Name, c.Network, c.KeepLog = c.Name+"-preflight", c.Network+"-preflight", true
	preflight := inspect(c)
	if preflight.HostConfig.LogConfig.Type != "json-file" || production.HostConfig.LogConfig.Type != "none" {
		t.Errorf("output: got %s and %s", preflight.HostConfig.LogConfig.Type, production.HostConfig.LogConfig.Type)
	}
	preflight.HostConfig.LogConfig = production.HostConfig.LogConfig
	preflight.HostConfig.NetworkMode = production.HostConfig.NetworkMode
	preflight.Config.Hostname = production.Config.Hostname
	for name, pair := range map[string][2]any{"config": {production.Config, preflight.Config}, "host config": {production.HostConfig, preflight.HostConfig}} {
		one, _ := json.Marshal(pair[0])
		other, _ := json.Marshal(pair[1])
		if !bytes.Equal(one, other) {
			t.Errorf("%s differs:\n%s\n%s", name, one, other)
		}
	}
}

func TestExit(t *testing.T) {
	b := newBench(t)
	image := b.pulled(t)
	for _, test := range []struct {
		name string
		env  map[string]string
		want deploy.Exit
	}{
		{"zero", map[string]string{"EXIT": "0"}, deploy.Exit{}},
		{"a code", map[string]string{"EXIT": "3"}, deploy.Exit{Code: 3}},
		{"out of memory", map[string]string{"EAT": "1"}, deploy.Exit{Code: 137, OutOfMemory: true}},
		{"much output", map[string]string{"EXIT": "7", "LINES": "200000"}, deploy.Exit{Code: 7}},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := b.create(t, b.container(image))
			defer b.Remove(t.Context(), id) //nolint:errcheck // clear sees to it
			var out output
			if _, err := b.Start(t.Context(), id, test.env, &out); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				exit, err := b.Wait(t.Context(), id)
				if err != nil || exit != test.want {
					t.Errorf("got %+v, %v, want %+v", exit, err, test.want)
				}
			}
			if lines := strings.Count(out.String(), "line "); test.env["LINES"] != "" && fmt.Sprint(lines) != test.env["LINES"] {
				t.Errorf("got %d lines of %s", lines, test.env["LINES"])
			}
		})
	}
}

// What a preflight says is kept by the engine, its last lines at least.
func TestLogs(t *testing.T) {
	b := newBench(t)
	c := b.container(b.pulled(t))
	c.KeepLog = true
	id := b.create(t, c)
	if lines, err := b.Logs(t.Context(), id, 3); err != nil || len(lines) != 0 {
		t.Errorf("before the start: got %q, %v", lines, err)
	}
	if _, err := b.Start(t.Context(), id, map[string]string{"EXIT": "1", "LINES": "100000", "KEY": secret}, nil); err != nil {
		t.Fatal(err)
	}
	if exit, err := b.Wait(t.Context(), id); err != nil || exit.Code != 1 {
		t.Fatalf("got %+v, %v", exit, err)
	}
	lines, err := b.Logs(t.Context(), id, 3)
	if want := []string{"line 99997", "line 99998", "line 99999"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("got %q, %v, want %q", lines, err, want)
	}
}

func TestNames(t *testing.T) {
	b := newBench(t)
	c := b.container(b.pulled(t))
	b.create(t, c)
	if _, err := b.Create(t.Context(), c); !errors.Is(err, deploy.ErrExists) {
		t.Errorf("a name of ours: got %v", err)
	}
	c.Name += "-preflight"
	somebody, err := b.api.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: c.Name, Config: &container.Config{Image: c.Release.Image, Cmd: []string{"x"}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Create(t.Context(), c)
	if want := "rename it, as with: docker rename clawft-lab-host-test-preflight OTHER"; !errors.Is(err, deploy.ErrForeign) || !strings.Contains(err.Error(), want) {
		t.Errorf("somebody's name: got %v", err)
	}
	found, err := b.Containers(t.Context(), gateway)
	if err != nil || len(found) != 2 || !slices.ContainsFunc(found, func(i deploy.ContainerInfo) bool { return i.ID == somebody.ID && i.Owner == "" && i.Gateway == "" }) {
		t.Errorf("listed: got %+v, %v", found, err)
	}
	c.Name, c.Release.Image = "clawft-"+gateway+"-other", strings.Replace(c.Release.Image, "@sha256:", "@sha256:0", 1)[:len(c.Release.Image)]
	if _, err := b.Create(t.Context(), c); !errors.Is(err, deploy.ErrNotFound) {
		t.Errorf("an image that is not here: got %v", err)
	}
	c.Release.Spec = release.Spec + 1
	if _, err := b.Create(t.Context(), c); err == nil || !strings.Contains(err.Error(), "version 2 of how a container is made; this program knows up to 1") {
		t.Errorf("a version that is not known: got %v", err)
	}
}

func TestNetworks(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	c := b.container(b.pulled(t))
	n := b.networkOf(c)
	id := func() string {
		t.Helper()
		found, err := b.api.NetworkInspect(ctx, n.Name, client.NetworkInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return found.Network.ID
	}
	ensure := func() string {
		t.Helper()
		if err := b.EnsureNetwork(ctx, n); err != nil {
			t.Fatal(err)
		}
		return id()
	}
	first := ensure()
	if second := ensure(); second != first {
		t.Errorf("the same network is another one: %s, %s", first, second)
	}
	// Each difference makes it anew.
	last := first
	for name, change := range map[string]func(){
		"internal": func() { n.Internal = true }, "bridge": func() { n.Bridge = network.Bridge("other") }, "owner": func() { n.Owner = "fedcba9876543210" },
	} {
		change()
		now := ensure()
		if now == last {
			t.Errorf("%s: the network is as it was", name)
		}
		last = now
	}
	other := n
	other.Gateway = "somebody"
	if err := b.EnsureNetwork(ctx, other); !errors.Is(err, deploy.ErrForeign) || id() != last {
		t.Errorf("another gateway's network: got %v", err)
	}
	if err := b.RemoveNetwork(ctx, n.Name, "somebody"); !errors.Is(err, deploy.ErrForeign) || id() != last {
		t.Errorf("removing another gateway's network: got %v", err)
	}
	for range 2 {
		if err := b.RemoveNetwork(ctx, n.Name, gateway); err != nil {
			t.Errorf("removing: %v", err)
		}
	}
	// One of a name that only contains ours is nobody's business.
	near, err := b.api.NetworkCreate(ctx, n.Name+"-2", client.NetworkCreateOptions{Driver: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	ensure()
	if err := b.RemoveNetwork(ctx, n.Name, gateway); err != nil {
		t.Error(err)
	}
	if _, err := b.api.NetworkInspect(ctx, near.ID, client.NetworkInspectOptions{}); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

// newWorld makes somebody past this machine, who can answer to its own address only, and returns this machine and
// where its addresses are.
func newWorld(t *testing.T) (self *namespace, inside, outside string) {
	t.Helper()
	inside, outside = "198.18.0.1", "198.18.0.2"
	world := newNamespace(t, "world")
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	self = &namespace{"this machine", file}
	self.connect(t, "cwlab-world", world, "eth0")
	// The namespace, which ends some time after the test, would take it along.
	t.Cleanup(func() { exec.Command("ip", "link", "del", "cwlab-world").Run() }) //nolint:errcheck // see above
	self.ip(t, "addr add "+inside+"/30 dev cwlab-world")
	world.ip(t, "addr add "+outside+"/30 dev eth0")
	world.serve(t, apiPort)
	return self, inside, outside
}

// A preflight has no way out, and is reached by the host.
func TestInternal(t *testing.T) {
	b := newBench(t)
	_, _, outside := newWorld(t)
	c := b.container(b.pulled(t))
	for internal, want := range map[bool]string{false: "open", true: "closed"} {
		n := b.networkOf(c)
		n.Internal = internal
		if err := b.EnsureNetwork(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		id, err := b.Create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		address, err := b.Start(t.Context(), id, nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(ask(t, address, fmt.Sprintf("/?to=%s:%d", outside, apiPort))); got != want {
			t.Errorf("internal %v: the way out is %s", internal, got)
		}
		if err := b.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

// The packet filter and the engine's own rules together leave what a gateway needs, and no more.
func TestFilterWithEngine(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	self, inside, outside := newWorld(t)
	c := b.container(b.pulled(t))
	id := b.create(t, c)
	address, err := b.Start(ctx, id, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else's container, in the engine's own network.
	other, err := b.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: gateway + "-other", Config: &container.Config{Image: c.Release.Image, Entrypoint: []string{"/opt/weft"}, Env: []string{"PORT=18789"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	neighbour, err := b.Start(ctx, other.ID, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port

	self.do(t, func() error {
		changed, err := network.Apply(network.Policy{Users: []uint32{proxyUser}})
		if err == nil && !changed {
			err = errors.New("the table is there already: somebody's gateways run here")
		}
		return err
	})
	defer self.do(t, network.Remove)
	if name := string(ask(t, address, "/?name="+c.Name)); name != fmt.Sprintf("[%s] <nil>", address) {
		t.Errorf("the engine's names: got %s", name)
	}
	for to, want := range map[string]string{
		fmt.Sprintf("%s:%d", outside, apiPort): "open", fmt.Sprintf("%s:%d", inside, port): "closed", fmt.Sprintf("%s:%d", neighbour, apiPort): "closed",
	} {
		if got := string(ask(t, address, "/?to="+to)); got != want {
			t.Errorf("from the gateway to %s: %s", to, got)
		}
	}
	if got := string(ask(t, neighbour, fmt.Sprintf("/?to=%s:%d", address, apiPort))); got != "closed" {
		t.Errorf("from another container to the gateway: %s", got)
	}
	for user, want := range map[int]bool{0: true, proxyUser: true, otherUser: false} {
		var err error
		self.as(user, func() {
			var conn net.Conn
			if conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(address, apiPort).String(), time.Second); err == nil {
				conn.Close()
			}
		})
		if (err == nil) != want {
			t.Errorf("from user %d to the gateway: %v", user, err)
		}
	}
}

func TestImages(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	image := b.pulled(t)
	found, err := b.Image(ctx, image)
	if err != nil || found.Platform != "linux/"+here || found.ID == "" || len(found.Tags) != 0 {
		t.Errorf("got %+v, %v", found, err)
	}

	t.Run("a container", func(t *testing.T) {
		id := b.create(t, b.container(image))
		if err := b.RemoveImage(ctx, image); !errors.Is(err, deploy.ErrInUse) {
			t.Errorf("got %v", err)
		}
		if err := b.Remove(ctx, id); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a tag", func(t *testing.T) {
		tag := b.repository + ":mine"
		if _, err := b.api.ImageTag(ctx, client.ImageTagOptions{Source: image, Target: tag}); err != nil {
			t.Fatal(err)
		}
		if found, err := b.Image(ctx, image); err != nil || !slices.Equal(found.Tags, []string{tag}) {
			t.Errorf("got %+v, %v", found, err)
		}
		if err := b.RemoveImage(ctx, image); !errors.Is(err, deploy.ErrInUse) {
			t.Errorf("got %v", err)
		}
		if _, err := b.api.ImageInspect(ctx, tag); err != nil {
			t.Errorf("the tag: %v", err)
		}
		if _, err := b.api.ImageRemove(ctx, tag, client.ImageRemoveOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("another name", func(t *testing.T) {
		// Where the tag was the last name, it has taken the image with it.
		if err := b.Pull(ctx, image, nil); err != nil {
			t.Fatal(err)
		}
		other := b.copyTo(t, image, b.repository+"-copy")
		if err := b.Pull(ctx, other, nil); err != nil {
			t.Fatal(err)
		}
		c := b.container(other)
		id := b.create(t, c)
		if err := b.RemoveImage(ctx, image); !errors.Is(err, deploy.ErrInUse) {
			t.Errorf("while a container is made from it under another name: got %v", err)
		}
		if err := b.Remove(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := b.RemoveImage(ctx, image); err != nil {
			t.Errorf("got %v", err)
		}
		if _, err := b.Image(ctx, other); err != nil {
			t.Errorf("the other name: %v", err)
		}
		if err := b.RemoveImage(ctx, other); err != nil {
			t.Errorf("got %v", err)
		}
		if _, err := b.Image(ctx, other); !errors.Is(err, deploy.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		if err := b.RemoveImage(ctx, image); !errors.Is(err, deploy.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		if err := b.RemoveImage(ctx, b.repository+":latest"); err == nil || !strings.Contains(err.Error(), "not named by its digest") {
			t.Errorf("a tag: got %v", err)
		}
	})
	t.Run("its content", func(t *testing.T) {
		before := b.registry.pulled.Load()
		if err := b.Pull(ctx, image, nil); err != nil {
			t.Fatal(err)
		}
		if b.registry.pulled.Load() == before {
			t.Error("the removed image came back without asking the registry: its content was kept")
		}
		if err := b.RemoveImage(ctx, image); err != nil {
			t.Error(err)
		}
	})
}

func TestPull(t *testing.T) {
	b := newBench(t)
	image := b.push(t, here)
	login := &release.RegistryLogin{Address: strings.SplitN(b.repository, "/", 2)[0], Username: "me", Password: secret}
	fails := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			io.WriteString(w, body) //nolint:errcheck // a test
			return true
		}
	}
	none := func(http.ResponseWriter, *http.Request) bool { return false }
	for _, test := range []struct {
		name   string
		image  string
		login  *release.RegistryLogin
		answer func(http.ResponseWriter, *http.Request) bool
		final  bool
		want   string
	}{
		{"no login", image, nil, nil, true, "the registry refuses the login"},
		{"another login", image, &release.RegistryLogin{Address: login.Address, Username: "me", Password: "other"}, nil, true, "the registry refuses the login"},
		{"forbidden", image, login, fails(403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`), true, "the registry refuses the login"},
		{"no such image", b.repository + "@sha256:" + strings.Repeat("0", 64), login, none, true, "the registry does not have it"},
		{"no such repository", b.repository + "-none@sha256:" + strings.Repeat("0", 64), login, none, true, "the registry does not have it"},
		{"another platform", b.push(t, "arm64", "arm"), login, none, true, "wrong architecture: it is built for linux/arm"},
		{"too many requests", image, login, fails(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`), false, ""},
		{"down", image, login, fails(503, `{"errors":[{"code":"UNAVAILABLE","message":"come back"}]}`), false, ""},
		{"an error of its own", image, login, fails(500, "oops"), false, ""},
		{"hangs up", image, login, func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, false, ""},
		{"a layer that breaks off", image, login, func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") || r.Method != http.MethodGet {
				return false
			}
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, "{") //nolint:errcheck // a test
			panic(http.ErrAbortHandler)
		}, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b.demand(login.Username, login.Password)
			if test.answer != nil {
				b.answers(test.answer)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := b.Pull(ctx, test.image, test.login)
			if err == nil {
				t.Fatal("it succeeds")
			}
			if errors.Is(err, deploy.ErrFinal) != test.final || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("final %v: got %v", errors.Is(err, deploy.ErrFinal), err)
			}
			t.Log(err)
		})
	}
	t.Run("the right login", func(t *testing.T) {
		b.demand(login.Username, login.Password)
		if err := b.Pull(t.Context(), image, login); err != nil {
			t.Fatal(err)
		}
		if err := b.RemoveImage(t.Context(), image); err != nil {
			t.Error(err)
		}
		// The engine remembers nobody's login.
		if err := b.Pull(t.Context(), image, nil); !errors.Is(err, deploy.ErrFinal) {
			t.Errorf("without a login, afterwards: got %v", err)
		}
	})
	t.Run("in time", func(t *testing.T) {
		b.answers(func(w http.ResponseWriter, r *http.Request) bool {
			select {
			case <-r.Context().Done():
			case <-t.Context().Done():
			}
			return true
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := b.Pull(ctx, image, login); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
			t.Errorf("after %v: got %v", time.Since(start), err)
		}
	})
}
