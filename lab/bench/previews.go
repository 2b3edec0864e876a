package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/lab/provider"
	"github.com/clawft/infra/lab/provider/cloudinit"
	"github.com/clawft/infra/lab/provider/hcloud"
	"github.com/clawft/infra/lab/provider/tls"
	"github.com/clawft/infra/lab/stack"
	"github.com/clawft/infra/pipeline"
)

const (
	recordedRepository = "registry.example.org/clawft/clawft"
	recordedDigest     = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	recordedImage      = recordedRepository + "@" + recordedDigest
	// maxHosts is how many addresses the recorded cloud gives out.
	maxHosts = 189
)

// PreviewOptions say what to measure.
type PreviewOptions struct {
	// Root is the checkout, and Pulumi the path of the pulumi command.
	Root, Pulumi string
	// Dir is where the stacks live; it is created.
	Dir string
	// Hosts are the numbers of hosts to measure at.
	Hosts []int
	// Runs is how many previews of each program are made per number of hosts.
	Runs int
	// Out is where progress is written.
	Out io.Writer
}

// PreviewCost compares both programs at one number of hosts.
type PreviewCost struct {
	Hosts     int `json:"hosts"`
	Resources int `json:"resources"`
	// Bare and Ours are whole previews, from the call to its end; BareProgram and
	// OursProgram the part of them from the program's start to its return.
	Bare        Samples `json:"bare"`
	Ours        Samples `json:"ours"`
	BareProgram Samples `json:"bareProgram"`
	OursProgram Samples `json:"oursProgram"`
	// BareCPU and OursCPU are the processor time of a preview: engine, program and
	// providers. What else the machine does hardly shows in it.
	BareCPU Samples `json:"bareCPU"`
	OursCPU Samples `json:"oursCPU"`
	// Ratio is Ours/Bare and CPURatio OursCPU/BareCPU, of the medians.
	Ratio    float64 `json:"ratio"`
	CPURatio float64 `json:"cpuRatio"`
}

// Validate reports numbers that cannot be measured at.
func (o PreviewOptions) Validate() error {
	if o.Runs < 1 {
		return fmt.Errorf("%d runs: want at least 1", o.Runs)
	}
	if len(o.Hosts) == 0 {
		return errors.New("no numbers of hosts: want some, such as 1,10,50,100")
	}
	for _, hosts := range o.Hosts {
		if hosts < 1 || hosts > maxHosts {
			return fmt.Errorf("%d hosts: want 1 to %d", hosts, maxHosts)
		}
	}
	return nil
}

// Previews measures previews that find nothing to do.
func Previews(ctx context.Context, options PreviewOptions) ([]PreviewCost, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	var costs []PreviewCost
	for _, hosts := range options.Hosts {
		cost, err := options.compare(ctx, hosts)
		if err != nil {
			return nil, fmt.Errorf("measuring previews at %d hosts: %w", hosts, err)
		}
		costs = append(costs, cost)
	}
	return costs, nil
}

// compare deploys both programs and previews them in turns, so that what else
// the machine does meets both alike.
func (o PreviewOptions) compare(ctx context.Context, hosts int) (PreviewCost, error) {
	bare, err := o.deploy(ctx, hosts, "the bare program", bareProgram(hosts))
	if err != nil {
		return PreviewCost{}, err
	}
	defer bare.servers.Close()
	ours, err := o.deploy(ctx, hosts, "the pipeline", pipeline.Deploy)
	if err != nil {
		return PreviewCost{}, err
	}
	defer ours.servers.Close()
	if !maps.Equal(bare.census, ours.census) {
		return PreviewCost{}, fmt.Errorf("the programs are not comparable: the bare one has %v, the pipeline %v", bare.census, ours.census)
	}
	for run := range o.Runs {
		order := []*deployed{bare, ours}
		if run%2 == 1 {
			slices.Reverse(order)
		}
		for _, program := range order {
			if err := program.preview(ctx); err != nil {
				return PreviewCost{}, err
			}
		}
	}
	cost := PreviewCost{
		Hosts: hosts, Resources: ours.resources(),
		Bare: bare.previews, Ours: ours.previews,
		BareProgram: bare.watch.samples(), OursProgram: ours.watch.samples(),
		BareCPU: bare.cpu, OursCPU: ours.cpu,
	}
	cost.Ratio = cost.Ours.ratio(cost.Bare)
	cost.CPURatio = cost.OursCPU.ratio(cost.BareCPU)
	fmt.Fprintf(o.Out, "  previewed %d hosts, %d times each\n", hosts, o.Runs)
	return cost, nil
}

// deployed is a program with a state that a real `up` made.
type deployed struct {
	name    string
	stack   *stack.Stack
	servers *provider.Server
	watch   *stopwatch
	// census counts resources by type, all components as one.
	census        map[string]int
	previews, cpu Samples
}

func (o PreviewOptions) deploy(ctx context.Context, hosts int, name string, program pulumi.RunFunc) (_ *deployed, err error) {
	dir := filepath.Join(o.Dir, fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), hosts))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the stack's directory: %w", err)
	}
	stackFile := filepath.Join(dir, "stack.yaml")
	if err := os.WriteFile(stackFile, []byte(stackFileOf(hosts)), 0o600); err != nil {
		return nil, fmt.Errorf("writing the stack file: %w", err)
	}
	started := time.Now()
	d := &deployed{name: name, watch: &stopwatch{}}
	d.servers, err = provider.Set{
		"cloudinit": cloudinit.New(),
		"command":   recordedCommand(),
		"hcloud":    hcloud.New(hcloud.NewCloud(hcloud.Options{})),
		"tls":       tls.New(),
	}.Serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.servers.Close()
		}
	}()
	d.stack, err = stack.Open(ctx, stack.Options{
		Dir:         dir,
		Name:        "bench",
		ProjectFile: filepath.Join(o.Root, "Pulumi.yaml"),
		StackFile:   stackFile,
		Pulumi:      o.Pulumi,
		Providers:   d.servers.Env(),
		Settings:    stack.Settings{"hcloud:token": {Text: strings.Repeat("lab0", 16), Secret: true}},
		Program:     d.watch.time(program),
	})
	if err != nil {
		return nil, err
	}
	// Only to be there sooner: the state of a hundred hosts would otherwise be
	// written anew after each of their resources.
	d.stack.Workspace().SetEnvVar("PULUMI_EXPERIMENTAL", "true")
	d.stack.Workspace().SetEnvVar("PULUMI_SKIP_CHECKPOINTS", "true")
	progress := stack.NewProgress(io.Discard, io.Discard)
	_, err = d.stack.Up(ctx, optup.EventStreams(progress.Listen()), optup.SuppressProgress(), optup.ShowSecrets(false))
	progress.Done()
	if err != nil {
		return nil, fmt.Errorf("deploying %s: %w", name, cause(ctx, err, progress.Errors()))
	}
	d.stack.Workspace().UnsetEnvVar("PULUMI_EXPERIMENTAL")
	d.stack.Workspace().UnsetEnvVar("PULUMI_SKIP_CHECKPOINTS")
	if d.census, err = d.count(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Out, "  recorded %d hosts of %s: %d resources in %.1f s\n", hosts, name, d.resources(), time.Since(started).Seconds())
	d.watch.reset()
	return d, nil
}

// cause is why the engine failed: an interruption, or its own first message.
// The Automation API's error repeats everything that was printed.
func cause(ctx context.Context, err error, messages []string) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case len(messages) > 0:
		return errors.New(messages[0])
	}
	return err
}

func stackFileOf(hosts int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "config:\n  clawft:version: 0.6.19\n  clawft:image:\n    repository: %s\n    digest: %s\n  clawft:hosts:\n",
		recordedRepository, recordedDigest)
	for i := range hosts {
		fmt.Fprintf(&text, "    - name: %s\n      hcloud: {type: cx23, location: nbg1, image: debian-12}\n", hostName(i))
	}
	return text.String()
}

func (d *deployed) count(ctx context.Context) (map[string]int, error) {
	exported, err := d.stack.Export(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the state of %s: %w", d.name, err)
	}
	var state apitype.DeploymentV3
	if err := json.Unmarshal(exported.Deployment, &state); err != nil {
		return nil, fmt.Errorf("decoding the state of %s: %w", d.name, err)
	}
	return census(state.Resources), nil
}

// census counts resources by type. Components are of one kind here, whatever
// they are called: Pulumi does the same with each.
func census(resources []apitype.ResourceV3) map[string]int {
	counts := map[string]int{}
	for _, resource := range resources {
		kind := string(resource.Type)
		if kind == "pulumi:providers:pulumi" {
			continue // the engine's own, which no preview counts
		}
		if !resource.Custom && kind != "pulumi:pulumi:Stack" {
			kind = "component"
		}
		counts[kind]++
	}
	return counts
}

func (d *deployed) resources() int {
	sum := 0
	for _, count := range d.census {
		sum += count
	}
	return sum
}

// preview times one preview that finds nothing to do.
func (d *deployed) preview(ctx context.Context) error {
	started, worked := time.Now(), processorTime()
	result, err := d.stack.Preview(ctx)
	elapsed, cpu := time.Since(started), processorTime()-worked
	if err != nil {
		return fmt.Errorf("previewing %s: %w", d.name, cause(ctx, err, nil))
	}
	if err := unchanged(result.ChangeSummary, d.resources()); err != nil {
		return fmt.Errorf("previewing %s: %w", d.name, err)
	}
	d.previews, d.cpu = append(d.previews, elapsed), append(d.cpu, cpu)
	return nil
}

// unchanged demands that a preview found every resource, and found it as it is. What a
// stack reads, as its own outputs, is read each time.
func unchanged(found map[apitype.OpType]int, resources int) error {
	others := maps.Clone(found)
	delete(others, apitype.OpSame)
	delete(others, apitype.OpRead)
	if len(others) != 0 || found[apitype.OpSame]+found[apitype.OpRead] != resources {
		return fmt.Errorf("it found %v, want %d resources as they are", found, resources)
	}
	return nil
}
