package docker

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/buildkit/buildx"
	"github.com/clawft/infra/lab/provider"
)

// defaultDriver is the plugin's, not buildx' own.
const defaultDriver = "docker-container"

// New returns the stand-in. Builders are kept where the client keeps them.
func New(client *buildx.Client) p.Provider {
	return provider.Package{
		Name:   "docker",
		Config: docker.ProviderArgs{},
		Resources: []provider.Resource{{
			Token:    "docker:index/buildxBuilder:BuildxBuilder",
			Args:     docker.BuildxBuilderArgs{},
			State:    &docker.BuildxBuilder{},
			AutoName: true,
			// Its name is its identity: the new one cannot be made beside the old.
			DeleteBeforeReplace: true,
			Check:               checkBuilder,
			Create: func(ctx context.Context, r provider.CreateRequest) (string, property.Map, error) {
				return createBuilder(ctx, client, r.Inputs)
			},
			Read: func(ctx context.Context, r provider.ReadRequest) (property.Map, property.Map, bool, error) {
				found, err := hasBuilder(ctx, client, r.ID)
				return r.Inputs, r.State, found, err
			},
			Delete: func(ctx context.Context, r provider.DeleteRequest) error {
				return deleteBuilder(ctx, client, r.ID)
			},
		}},
	}.Provider()
}

// driverBlocks are the inputs that choose a driver and configure it.
var driverBlocks = map[string]string{
	"dockerContainer": "docker-container",
	"kubernetes":      "kubernetes",
	"remote":          "remote",
}

func checkBuilder(_ context.Context, inputs property.Map) []p.CheckFailure {
	var failures []p.CheckFailure
	for name := range inputs.AllStable {
		if _, isBlock := driverBlocks[name]; !isBlock {
			continue
		}
		for _, other := range []string{"driver", "driverOptions", "dockerContainer", "kubernetes", "remote"} {
			if other != name && !inputs.Get(other).IsNull() {
				failures = append(failures, p.CheckFailure{
					Property: name,
					Reason:   fmt.Sprintf("conflicts with %q: give only one of them", other),
				})
			}
		}
	}
	return failures
}

func createBuilder(ctx context.Context, client *buildx.Client, inputs property.Map) (string, property.Map, error) {
	var args builderArgs
	if err := provider.Decode(inputs, &args); err != nil {
		return "", property.Map{}, err
	}
	driver, options := args.Driver, driverOptions(inputs.Get("driverOptions"))
	if driver == "" {
		driver = defaultDriver
	}
	for block, name := range driverBlocks {
		if value := inputs.Get(block); !value.IsNull() {
			driver, options = name, driverOptions(value)
		}
	}
	if err := client.Run(ctx, args.command(driver, options)...); err != nil {
		return "", property.Map{}, fmt.Errorf("creating builder %q: %w", args.Name, err)
	}
	return args.Name, property.NewMap(map[string]property.Value{"driver": property.New(driver)}), nil
}

// builderArgs are the inputs that do not depend on the driver.
type builderArgs struct {
	Append         bool     `pulumi:"append"`
	Bootstrap      bool     `pulumi:"bootstrap"`
	BuildkitConfig string   `pulumi:"buildkitConfig"`
	BuildkitFlags  string   `pulumi:"buildkitFlags"`
	Driver         string   `pulumi:"driver"`
	Endpoint       string   `pulumi:"endpoint"`
	Name           string   `pulumi:"name"`
	Node           string   `pulumi:"node"`
	Platforms      []string `pulumi:"platforms"`
	Use            bool     `pulumi:"use"`
}

func (a builderArgs) command(driver string, options []string) []string {
	args := []string{"create", "--name", a.Name, "--driver", driver}
	for _, option := range options {
		args = append(args, "--driver-opt", option)
	}
	for _, flag := range []struct{ name, value string }{
		{"--node", a.Node},
		{"--platform", strings.Join(a.Platforms, ",")},
		{"--buildkitd-flags", a.BuildkitFlags},
		{"--buildkitd-config", a.BuildkitConfig},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"--append", a.Append},
		{"--bootstrap", a.Bootstrap},
		{"--use", a.Use},
	} {
		if flag.set {
			args = append(args, flag.name)
		}
	}
	if a.Endpoint != "" {
		args = append(args, a.Endpoint)
	}
	return args
}

// driverOptions turns a block into buildx' key=value pairs, by the plugin's
// rules: names get dashes, empty strings, false and numbers are left out.
func driverOptions(block property.Value) []string {
	if !block.IsMap() {
		return nil
	}
	var options []string
	for name, value := range block.AsMap().AllStable {
		switch {
		case value.IsString() && value.AsString() != "":
			options = append(options, dashed(name)+"="+value.AsString())
		case value.IsBool() && value.AsBool():
			options = append(options, dashed(name)+"=true")
		}
	}
	return options
}

// dashed is memory-swap for memorySwap, and leaves default-load as it is.
func dashed(name string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(name, "_", "-") {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func hasBuilder(ctx context.Context, client *buildx.Client, name string) (bool, error) {
	err := client.Run(ctx, "inspect", name)
	// It has no exit code of its own for this.
	if err != nil && strings.Contains(err.Error(), fmt.Sprintf("no builder %q found", name)) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("inspecting builder %q: %w", name, err)
	}
	return true, nil
}

func deleteBuilder(ctx context.Context, client *buildx.Client, name string) error {
	if found, err := hasBuilder(ctx, client, name); err != nil || !found {
		return err
	}
	if err := client.Run(ctx, "rm", name); err != nil {
		return fmt.Errorf("removing builder %q: %w", name, err)
	}
	return nil
}
