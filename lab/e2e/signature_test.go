package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/internal/testkey"
	labregistry "github.com/clawft/infra/lab/registry"
	"github.com/clawft/infra/lab/site"
	"github.com/clawft/infra/lab/stack"
	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/signature"
)

// serveRegistry serves the lab's registry to this test, as it is otherwise served
// only while a lab command runs, and has what it starts trust it.
func serveRegistry(t *testing.T) *registry.Login {
	t.Helper()
	dir := filepath.Join(site.Dir(tested.root, labName), "registry")
	address, _, _ := strings.Cut(tested.hosts(t).All()[0].Image, "/")
	served, err := labregistry.Start(t.Context(), labregistry.Options{Dir: dir, Addresses: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := served.Close(); err != nil {
			t.Error(err)
		}
	})
	ca, err := os.ReadFile(served.CAPath())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	before := remote.DefaultTransport
	remote.DefaultTransport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(func() { remote.DefaultTransport = before })
	t.Setenv("SSL_CERT_FILE", served.CAPath())
	return &registry.Login{Username: served.Username(), Password: served.Password()}
}

// publicKeys are those that the lab's stack demands a signature by, as its state
// has them.
func publicKeys(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(site.Dir(tested.root, labName), "state", ".pulumi", "stacks", stack.Project, site.StackName+".json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The key that signs is in there too.
	if strings.Contains(string(content), "PRIVATE KEY") {
		t.Errorf("%s holds a private key in plain text", path)
	}
	var state struct {
		Checkpoint struct {
			Latest struct {
				Resources []struct {
					Type    string
					Outputs struct{ PublicKeys []string }
				}
			}
		}
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	for _, registered := range state.Checkpoint.Latest.Resources {
		if registered.Type == "pulumi:pulumi:Stack" && len(registered.Outputs.PublicKeys) > 0 {
			return registered.Outputs.PublicKeys
		}
	}
	t.Fatalf("%s tells no public key", path)
	return nil
}

// signedAndAttested asks the hosts what runs, and the registry what is attached
// to that.
func signedAndAttested(t *testing.T) {
	keys := publicKeys(t)
	if len(keys) != 1 {
		t.Fatalf("the stack has %d keys, want the one that it signs with", len(keys))
	}
	key, err := signature.ParsePublicKey(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	login := serveRegistry(t)
	for _, host := range tested.hosts(t).All() {
		t.Run(host.Name, func(t *testing.T) {
			image := strings.TrimSpace(tested.onHost(t, host.Name, "sh -c 'docker image inspect --format \"{{index .RepoDigests 0}}\" $(docker inspect --format {{.Image}} clawft)'"))
			name, digest, _ := strings.Cut(image, "@")
			if image != host.Image {
				t.Errorf("the engine runs %s, and the stack says %s", image, host.Image)
			}
			repository, err := registry.Open(name, login)
			if err != nil {
				t.Fatal(err)
			}
			wantContains(t, tested.must(t, "logs", host.Name), "the image's signature is valid")
			signatures, err := repository.Signatures(t.Context(), digest)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := signature.Find(t.Context(), signatures, digest, key); err != nil {
				t.Errorf("%s: %v", image, err)
			}
			statements, err := attest.Statements(t.Context(), repository, digest, key)
			if err != nil {
				t.Fatal(err)
			}
			predicates := map[string]json.RawMessage{}
			for _, statement := range statements {
				predicates[statement.PredicateType] = statement.Predicate
			}
			checkProvenance(t, predicates[attest.Provenance])
			checkBillOfMaterials(t, predicates[attest.BillOfMaterials], host.Name)
		})
	}
}

func checkProvenance(t *testing.T, predicate json.RawMessage) {
	t.Helper()
	var provenance struct {
		BuildDefinition struct {
			ExternalParameters attest.Build
		}
	}
	if err := json.Unmarshal(predicate, &provenance); err != nil {
		t.Fatalf("reading the provenance %s: %v", predicate, err)
	}
	if build := provenance.BuildDefinition.ExternalParameters; build.Version != first || build.Source != "./gateway" {
		t.Errorf("the image was built from %+v, want version %s from ./gateway", build, first)
	}
}

// checkBillOfMaterials demands that the program that is listed is the very one
// that runs.
func checkBillOfMaterials(t *testing.T, predicate json.RawMessage, host string) {
	t.Helper()
	var bom cyclonedx.BOM
	if err := json.Unmarshal(predicate, &bom); err != nil {
		t.Fatalf("reading the bill of materials %s: %v", predicate, err)
	}
	sum, _, _ := strings.Cut(tested.onHost(t, host, "sh -c 'docker cp clawft:/usr/local/bin/weft - | tar --extract --to-stdout | sha256sum'"), " ")
	for _, component := range *bom.Components {
		if component.Name == "/usr/local/bin/weft" {
			if got := (*component.Hashes)[0].Value; got != sum {
				t.Errorf("listed is a program with the hash %s, and %s runs", got, sum)
			}
			return
		}
	}
	t.Errorf("the bill of materials lacks the program: %s", predicate)
}

// unsignedReleases demands a signature that an image does not have, of the stack
// and of a host.
func unsignedReleases(t *testing.T) {
	host := tested.hosts(t).All()[0]
	_, digest, _ := strings.Cut(host.Image, "@")
	key := publicKeys(t)[0]
	stranger, _ := testkey.New(t)
	good, err := signature.Sign(t.Context(), stranger, "ghcr.io/clawft/clawft", digest)
	if err != nil {
		t.Fatal(err)
	}
	tags, started := publicTags(t), startTimes(t)

	t.Run("the stack", func(t *testing.T) {
		output := tested.mustFail(t, time.Minute, up("--version", first,
			"--set", "clawft:image.source=", "--set", "clawft:image.dockerfile=", "--set", "clawft:image.digest="+digest,
			"--set", "clawft:image.publicKeys[0]="+stranger.Public().String())...)
		wantContains(t, output, "gateway-signed", host.Image+" may not be deployed", "it has 1 signatures", "clawft:image.publicKeys")
	})
	for _, test := range []struct {
		name   string
		proof  signature.Proof
		wanted string
	}{
		{"not signed", signature.Proof{Keys: []string{key}}, "the image is not signed"},
		{"signed by a stranger", signature.Proof{Keys: []string{key}, Image: good}, "the image's signature is by none of the 1 keys"},
	} {
		t.Run("a host: "+test.name, func(t *testing.T) {
			release := cloudinit.Release{
				Owner: ownerOf(t, host.Name), Image: host.Image, Version: first, Signature: &test.proof,
				Config: json.RawMessage(tested.onHost(t, host.Name, "cat /opt/clawft/current/config.json")),
				Port:   8080, MemoryMiB: 512, Pids: 256, HealthTimeout: healthTimeout, Watch: watch, Drain: 1,
			}
			request, err := release.JSON()
			if err != nil {
				t.Fatal(err)
			}
			output := tested.onHostWith(t, host.Name, fmt.Sprintf(`sh -c '%s; echo "ended with $?"'`, cloudinit.DeployCommand), request)
			wantContains(t, output, "deploy failed: "+test.wanted, "nothing was changed: release "+first+" was not touched", "ended with 1")
		})
	}
	if now := startTimes(t); now != started {
		t.Errorf("gateways were restarted: %s before, %s now", started, now)
	}
	tested.wantVersion(t, first)
	wantTags(t, tags)
	tested.must(t, publishing(first)...)
}

// ownerOf is the owner record of a host.
func ownerOf(t *testing.T, host string) cloudinit.Owner {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(tested.onHost(t, host, "cat /opt/clawft/current/owner")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	return cloudinit.Owner{ID: values["OWNER"], Gateway: values["GATEWAY"], Stack: values["STACK"]}
}
