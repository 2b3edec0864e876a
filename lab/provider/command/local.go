package command

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi-command/sdk/go/command/local"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

func localCommand() provider.Resource {
	return resourceOf(provider.Resource{
		Token: "command:local:Command",
		Args:  local.CommandArgs{},
		State: &local.Command{},
		Check: func(ctx context.Context, inputs property.Map) []p.CheckFailure {
			failures := checkLogging(ctx, inputs)
			for _, name := range []string{"archivePaths", "assetPaths"} {
				if !inputs.Get(name).IsNull() {
					failures = append(failures, p.CheckFailure{
						Property: name, Reason: "the stand-in collects no files",
					})
				}
			}
			return failures
		},
	}, runLocal)
}

// runLocal executes command with this process's environment beneath its own.
func runLocal(ctx context.Context, command string, inputs property.Map, last output) (output, error) {
	var common settings
	if err := provider.Decode(inputs, &common); err != nil {
		return output{}, err
	}
	var own struct {
		Interpreter []string          `pulumi:"interpreter"`
		Dir         string            `pulumi:"dir"`
		Environment map[string]string `pulumi:"environment"`
	}
	if err := provider.Decode(inputs, &own); err != nil {
		return output{}, err
	}

	if len(own.Interpreter) == 0 {
		own.Interpreter = []string{"/bin/sh", "-c"}
	}
	args := append(slices.Clone(own.Interpreter), command)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// A child that outlives a cancelled command may keep its output open.
	cmd.WaitDelay = time.Second
	cmd.Dir = own.Dir
	cmd.Env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(own.Environment)) {
		cmd.Env = append(cmd.Env, name+"="+own.Environment[name])
	}
	for _, variable := range common.previousOutput(last) {
		cmd.Env = append(cmd.Env, variable[0]+"="+variable[1])
	}
	if common.Stdin != "" {
		cmd.Stdin = strings.NewReader(common.Stdin)
	}
	printed := newCapture(ctx, common.Logging)
	cmd.Stdout, cmd.Stderr = &printed.stdout, &printed.stderr
	return printed.end(command, cmd.Run())
}
