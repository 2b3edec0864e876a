package command

import (
	"context"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// settings are the inputs that local and remote runs share.
type settings struct {
	Stdin                  string  `pulumi:"stdin"`
	Logging                logging `pulumi:"logging"`
	AddPreviousOutputInEnv *bool   `pulumi:"addPreviousOutputInEnv"`
}

// output is what the last run printed, each without its last newline.
type output struct {
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

func (o output) properties() property.Map {
	return property.NewMap(map[string]property.Value{
		"stdout": property.New(o.Stdout),
		"stderr": property.New(o.Stderr),
	})
}

// previousOutput is given to the next run in these variables, unless empty.
func (c settings) previousOutput(last output) [][2]string {
	if c.AddPreviousOutputInEnv != nil && !*c.AddPreviousOutputInEnv {
		return nil
	}
	var variables [][2]string
	if last.Stdout != "" {
		variables = append(variables, [2]string{"PULUMI_COMMAND_STDOUT", last.Stdout})
	}
	if last.Stderr != "" {
		variables = append(variables, [2]string{"PULUMI_COMMAND_STDERR", last.Stderr})
	}
	return variables
}

// runner runs a command as the inputs say, and returns what it printed.
type runner func(ctx context.Context, command string, inputs property.Map, last output) (output, error)

// resourceOf completes r with the life cycle of a command.
func resourceOf(r provider.Resource, run runner) provider.Resource {
	r.Replace = []string{"triggers"}
	r.Volatile = []string{"stdout", "stderr"}
	r.Create = func(ctx context.Context, req provider.CreateRequest) (string, property.Map, error) {
		id, err := resource.NewUniqueHex(req.Name, 8, 0)
		if err != nil {
			return "", property.Map{}, err
		}
		printed, err := runOne(ctx, run, req.Inputs, property.Map{}, "create")
		if err != nil {
			// Without an ID nothing was created: the next update tries again.
			return "", property.Map{}, err
		}
		return id, printed.properties(), nil
	}
	r.Update = func(ctx context.Context, req provider.UpdateRequest) (property.Map, error) {
		printed, err := runOne(ctx, run, req.Inputs, req.State, "update", "create")
		return printed.properties(), err
	}
	r.Delete = func(ctx context.Context, req provider.DeleteRequest) error {
		_, err := runOne(ctx, run, req.Inputs, req.State, "delete")
		return err
	}
	return r
}

// runOne runs the first of the named commands that is given. If none is, the
// last output stays.
func runOne(ctx context.Context, run runner, inputs, state property.Map, names ...string) (output, error) {
	var last output
	if err := provider.Decode(state, &last); err != nil {
		return output{}, err
	}
	for _, name := range names {
		if command := inputs.Get(name); !command.IsNull() {
			return run(ctx, command.AsString(), inputs, last)
		}
	}
	return last, nil
}
