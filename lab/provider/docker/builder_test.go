package docker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/toolchain"
)

const urn = presource.URN("urn:pulumi:lab::clawft::docker:index/buildxBuilder:BuildxBuilder::builder")

func TestLifecycle(t *testing.T) {
	standIn, client := serve(t)
	inputs := object("name", "lab", "driver", "remote", "endpoint", "unix:///run/absent.sock")

	created, err := standIn.Create(t.Context(), p.CreateRequest{Urn: urn, Properties: inputs})
	if err != nil {
		t.Fatal(err)
	}
	if created.ID != "lab" || created.Properties.Get("name").AsString() != "lab" {
		t.Errorf("created %q with %v", created.ID, created.Properties)
	}
	list, err := client.Command(t.Context(), "", "ls").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(list), "unix:///run/absent.sock") {
		t.Errorf("buildx does not list the builder:\n%s", list)
	}

	// As the plugin, and so that a builder of the user's is never taken over by
	// accident.
	if _, err := standIn.Create(t.Context(), p.CreateRequest{Urn: urn, Properties: inputs}); err == nil ||
		!strings.Contains(err.Error(), "specify the node name to make changes for existing instances") {
		t.Errorf("creating a builder that exists: %v", err)
	}
	if _, err := standIn.Create(t.Context(), p.CreateRequest{Urn: urn, Properties: inputs.Set("node", property.New("lab0"))}); err != nil {
		t.Errorf("taking over a builder by naming its node: %v", err)
	}

	read := func() string {
		t.Helper()
		response, err := standIn.Read(t.Context(), p.ReadRequest{ID: "lab", Urn: urn, Inputs: inputs, Properties: created.Properties})
		if err != nil {
			t.Fatal(err)
		}
		return response.ID
	}
	if id := read(); id != "lab" {
		t.Errorf("a builder that exists was read as %q", id)
	}
	for range 2 {
		if err := standIn.Delete(t.Context(), p.DeleteRequest{ID: "lab", Urn: urn, Properties: created.Properties}); err != nil {
			t.Fatal(err)
		}
	}
	if id := read(); id != "" {
		t.Errorf("a deleted builder was read as %q", id)
	}
}

func TestEveryChangeReplaces(t *testing.T) {
	standIn, _ := serve(t)
	before := object("name", "lab", "driver", "remote", "endpoint", "unix:///run/a.sock")
	diff, err := standIn.Diff(t.Context(), p.DiffRequest{
		ID: "lab", Urn: urn, OldInputs: before, State: before,
		Inputs: before.Set("endpoint", property.New("unix:///run/b.sock")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if kind := diff.DetailedDiff["endpoint"].Kind; kind != p.UpdateReplace {
		t.Errorf("another endpoint is %q", kind)
	}
	if !diff.DeleteBeforeReplace {
		t.Error("the new builder is made while the old one has the name")
	}
}

func TestConflictingDrivers(t *testing.T) {
	standIn, _ := serve(t)
	inputs := object("driver", "remote").
		Set("remote", property.New(map[string]property.Value{"servername": property.New("x")}))
	response, err := standIn.Check(t.Context(), p.CheckRequest{Urn: urn, Inputs: inputs})
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Failures) != 1 || response.Failures[0].Reason != `conflicts with "driver": give only one of them` {
		t.Errorf("failures: %v", response.Failures)
	}
}

func TestCommand(t *testing.T) {
	args := builderArgs{
		Name: "b", Node: "b0", Endpoint: "tcp://h:1", Platforms: []string{"linux/amd64", "linux/arm64"},
		BuildkitFlags: "--debug", BuildkitConfig: "b.toml", Append: true, Bootstrap: true, Use: true,
	}
	options := driverOptions(property.New(map[string]property.Value{
		"memorySwap":  property.New("1g"),
		"defaultLoad": property.New(true),
		"network":     property.New(""),
		"rootless":    property.New(false),
	}))
	got := strings.Join(args.command("docker-container", options), " ")
	want := "create --name b --driver docker-container --driver-opt default-load=true --driver-opt memory-swap=1g" +
		" --node b0 --platform linux/amd64,linux/arm64 --buildkitd-flags --debug --buildkitd-config b.toml" +
		" --append --bootstrap --use tcp://h:1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func serve(t *testing.T) (p.Provider, *buildx.Client) {
	t.Helper()
	program, err := toolchain.Ensure(t.Context(), "../../..", toolchain.Buildx, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	client, err := buildx.New(buildx.Options{Program: program, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
			t.Error("a docker configuration was written: logins do not belong there")
		}
	})
	return New(client), client
}

func object(pairs ...string) property.Map {
	m := map[string]property.Value{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = property.New(pairs[i+1])
	}
	return property.NewMap(m)
}
