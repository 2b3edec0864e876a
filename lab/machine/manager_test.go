package machine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/ssh"
)

// testNetwork is apart from that of a lab which may be running meanwhile.
var testNetwork = Network{Name: "clawft-machine-test", Subnet: netip.MustParsePrefix("172.30.8.0/24")}

// newTestManager returns a manager with an empty network. The image comes from
// the checkout's own cache, so that it is built once for all tests.
func newTestManager(t *testing.T, ctx context.Context) *Manager {
	t.Helper()
	cache, err := filepath.Abs("../../.lab/cache")
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{Root: t.TempDir(), Cache: cache, Network: testNetwork})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.removeAll(ctx); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	if err := m.EnsureImage(ctx, func(s string) { t.Log(s) }); err != nil {
		t.Fatal(err)
	}
	if err := m.EnsureNetwork(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// sshKey is a fresh key pair, as a host key and as a client's.
type sshKey struct {
	HostKey
	signer ssh.Signer
}

func newSSHKey(t *testing.T) sshKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return sshKey{
		HostKey: HostKey{
			Private: string(pem.EncodeToMemory(block)),
			Public:  strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))),
		},
		signer: signer,
	}
}

// dial logs in, waiting up to a minute for the machine's sshd. A host key that
// is not the expected one fails at once.
func dial(t *testing.T, user string, ip netip.Addr, client, host sshKey) *ssh.Client {
	t.Helper()
	config := &ssh.ClientConfig{
		User:            user,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(client.signer)},
		HostKeyCallback: ssh.FixedHostKey(host.signer.PublicKey()),
		Timeout:         2 * time.Second,
	}
	deadline := time.Now().Add(time.Minute)
	for {
		c, err := ssh.Dial("tcp", net.JoinHostPort(ip.String(), "22"), config)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("logging in to %s as %s: %v", ip, user, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// sh runs a command over SSH and returns its trimmed output.
func sh(t *testing.T, c *ssh.Client, command string) string {
	t.Helper()
	out, err := trySh(c, command)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

func trySh(c *ssh.Client, command string) (string, error) {
	s, err := c.NewSession()
	if err != nil {
		return "", err
	}
	defer s.Close()
	out, err := s.CombinedOutput(command)
	return strings.TrimSpace(string(out)), err
}

// testRegistry serves the image "hello" over TLS at the network's gateway
// address, and returns the image's reference and the authority's certificate.
func testRegistry(t *testing.T, n Network) (registryHost, reference, ca string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "machine test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses:           []net.IP{n.Gateway().AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(n.Gateway().String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{
		Listener: listener,
		Config: &http.Server{
			Handler:  registry.New(registry.Logger(log.New(io.Discard, "", 0))),
			ErrorLog: log.New(io.Discard, "", 0),
		},
		TLS: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
	}
	server.StartTLS()
	t.Cleanup(server.Close)

	registryHost = listener.Addr().String()
	ref, err := name.ParseReference(registryHost + "/hello:1")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if err := remote.Write(ref, helloImage(t), remote.WithTransport(transport)); err != nil {
		t.Fatal(err)
	}
	return registryHost, ref.Name(), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// helloImage holds one static binary.
func helloImage(t *testing.T) v1.Image {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "hello")
	build := exec.Command("go", "build", "-o", binary, "./testdata/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building hello: %v\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	var tree bytes.Buffer
	w := tar.NewWriter(&tree)
	if err := w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o755, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(tree.Bytes())), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: runtime.GOARCH,
		Config: v1.Config{Entrypoint: []string{"/hello"}},
		RootFS: must(image.ConfigFile()).RootFS,
	})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestMachine takes one machine through its life: first boot by cloud-init, an
// engine of its own that pulls from a private registry, a reboot, removal.
func TestMachine(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	m := newTestManager(t, ctx)
	registryHost, image, ca := testRegistry(t, m.Network())
	client, host := newSSHKey(t), newSSHKey(t)
	ip := must(m.Network().Address(11))
	userData := fmt.Sprintf(`#cloud-config
ssh_deletekeys: true
ssh_keys:
  ed25519_private: |
    %s
  ed25519_public: %s
write_files:
  - path: /etc/systemd/system/beacon.service
    content: |
      [Service]
      ExecStart=/usr/bin/sleep infinity
      [Install]
      WantedBy=multi-user.target
packages: [docker.io]
runcmd:
  - systemctl enable --now beacon.service
`, strings.ReplaceAll(strings.TrimSpace(host.Private), "\n", "\n    "), host.Public)
	spec := Spec{
		Name: "gw-1", IP: ip, UserData: userData,
		AuthorizedKeys: []string{client.Public},
		RegistryCAs:    map[string]string{registryHost: ca},
	}
	id, err := m.Create(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	c := dial(t, "root", ip, client, host)
	t.Logf("SSH login after %s", time.Since(started).Round(100*time.Millisecond))

	if got := sh(t, c, "cloud-init status --wait --long"); !strings.Contains(got, "status: done") {
		t.Errorf("cloud-init: %s", got)
	}
	t.Logf("cloud-init done after %s", time.Since(started).Round(100*time.Millisecond))
	if got := sh(t, c, "systemctl is-system-running --wait || systemctl --failed --no-legend"); got != "running" {
		t.Errorf("system state: %s", got)
	}
	if got := sh(t, c, "hostname; ls /etc/ssh/*.pub; systemctl is-active beacon"); got != "gw-1\n/etc/ssh/ssh_host_ed25519_key.pub\nactive" {
		t.Errorf("host name, host keys, unit: %s", got)
	}
	if got := sh(t, c, "docker run --rm --memory 64m --pids-limit 64 --read-only --cap-drop ALL "+image); !strings.HasSuffix(got, "hello from the inner engine") {
		t.Errorf("inner container: %s", got)
	}
	if got := sh(t, c, "docker info --format '{{.Driver}}'"); got != "overlay2" {
		t.Errorf("inner storage driver: %s", got)
	}

	t.Run("creating it again changes nothing", func(t *testing.T) {
		again, err := m.Create(ctx, spec)
		if err != nil || again != id {
			t.Errorf("got %s, %v; want %s", again, err, id)
		}
	})
	t.Run("creating it again starts it if it was stopped", func(t *testing.T) {
		if _, err := m.docker.run(ctx, "container", "stop", m.Container(spec.Name)); err != nil {
			t.Fatal(err)
		}
		again, err := m.Create(ctx, spec)
		if err != nil || again != id || !must(m.Get(ctx, spec.Name)).Running {
			t.Errorf("got %s, %v; want %s, running", again, err, id)
		}
	})
	t.Run("a different machine of that name is refused", func(t *testing.T) {
		other := spec
		other.UserData += "# changed\n"
		if _, err := m.Create(ctx, other); err == nil || !strings.Contains(err.Error(), "made differently") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("it comes back from a reboot", func(t *testing.T) {
		if err := m.Restart(ctx, spec.Name); err != nil {
			t.Fatal(err)
		}
		c := dial(t, "root", ip, client, host)
		if got := sh(t, c, "systemctl is-system-running --wait || systemctl --failed --no-legend"); got != "running" {
			t.Errorf("system state: %s", got)
		}
		if got := sh(t, c, "systemctl is-active beacon docker; docker run --rm "+image); got != "active\nactive\nhello from the inner engine" {
			t.Errorf("after the reboot: %s", got)
		}
	})
	t.Run("down leaves nothing", func(t *testing.T) {
		got := must(m.List(ctx))
		if len(got) != 1 || got[0].Name != "gw-1" || got[0].IP != ip || !got[0].Running {
			t.Errorf("machines before: %+v", got)
		}
		if err := m.removeAll(ctx); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"container", "volume", "network"} {
			left := must(m.docker.run(ctx, kind, "ls", "--quiet", "--filter", "name="+testNetwork.Name))
			if left != "" {
				t.Errorf("%s left: %s", kind, left)
			}
		}
		if _, err := os.Stat(m.state); !os.IsNotExist(err) {
			t.Errorf("state directory: %v", err)
		}
	})
}

// TestExistingMachine starts a machine that was rented elsewhere: no bootstrap,
// a user who is not root, and a host key that is known beforehand.
func TestExistingMachine(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	m := newTestManager(t, ctx)
	client, host := newSSHKey(t), newSSHKey(t)
	ip := must(m.Network().Address(12))
	userData, err := PlainUserData(host.HostKey, "debian", []string{client.Public})
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Name: "old-1", IP: ip, UserData: userData, AuthorizedKeys: []string{client.Public}}

	// What an interruption between creating and starting leaves behind.
	if _, err := m.docker.run(ctx, append(m.labelled("container", "create"), "--name", m.Container(spec.Name), m.Image())...); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Create(ctx, spec); err != nil {
		t.Fatal(err)
	}
	c := dial(t, "debian", ip, client, host)
	if got := sh(t, c, "cloud-init status --wait --long"); !strings.Contains(got, "status: done") {
		t.Errorf("cloud-init: %s", got)
	}
	if got := sh(t, c, "whoami; sudo -n whoami; command -v docker || echo no engine"); got != "debian\nroot\nno engine" {
		t.Errorf("as debian: %s", got)
	}
	if got := sh(t, dial(t, "root", ip, client, host), "whoami"); got != "root" {
		t.Errorf("as root: %s", got)
	}
	if err := m.Delete(ctx, spec.Name); err != nil {
		t.Fatal(err)
	}
	if got := must(m.Get(ctx, spec.Name)); got != nil {
		t.Errorf("after its deletion: %+v", got)
	}
	if err := m.Delete(ctx, spec.Name); err != nil {
		t.Errorf("deleting it once more: %v", err)
	}
}

// TestForeignNetwork makes sure that a lab never joins another's network.
func TestForeignNetwork(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m := newTestManager(t, ctx)
	other := *m
	other.checkout = "another"
	err := other.EnsureNetwork(ctx)
	if err == nil || !strings.Contains(err.Error(), "belongs to another checkout") {
		t.Errorf("got %v", err)
	}
}
