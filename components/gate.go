package components

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-command/sdk/go/command/local"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/gate/proof"
	"github.com/clawft/infra/registry"
)

// gateProgram runs the gates. Its import path, unlike a path of the file system,
// is the same from every directory of every checkout.
const gateProgram = "go run github.com/clawft/infra/gate"

// runGate registers a gate, as a command on the machine that runs Pulumi, and
// returns what it prints.
func runGate(ctx *pulumi.Context, name, gate string, document pulumi.StringOutput, parent pulumi.Resource) (pulumi.StringOutput, error) {
	command, err := local.NewCommand(ctx, name+"-"+gate, &local.CommandArgs{
		Create: pulumi.String(gateProgram + " " + gate),
		Stdin:  document.ToStringPtrOutput(),
		// What it prints is in the stack's state, and an error says it all.
		Logging:                local.LoggingStderr,
		AddPreviousOutputInEnv: pulumi.Bool(false),
	}, pulumi.Parent(parent))
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("registering the gate %s: %w", gate, err)
	}
	return command.Stdout, nil
}

// proven is a digest that is known once a gate has let it pass.
func proven(digest, found pulumi.StringOutput) pulumi.StringOutput {
	return pulumi.All(digest, found).ApplyT(func(all []any) string {
		return all[0].(string)
	}).(pulumi.StringOutput)
}

// gateDocument is what a gate reads. It is secret if there is a login or another
// secret in it; the latter is nil where there is none.
func gateDocument(repository string, digest pulumi.StringInput, login *RegistryCredentials, secret pulumi.StringInput,
	of func(image proof.Image, secret string) any,
) pulumi.StringOutput {
	inputs := []any{digest, pulumi.String("").ToStringOutput(), pulumi.String("").ToStringOutput()}
	if login != nil {
		inputs[1] = login.Password
	}
	if secret != nil {
		inputs[2] = secret
	}
	return pulumi.All(inputs...).ApplyT(func(all []any) (string, error) {
		image := proof.Image{Repository: repository, Digest: all[0].(string)}
		if login != nil {
			image.Login = &registry.Login{Username: login.Username, Password: all[1].(string)}
		}
		text, err := json.Marshal(of(image, all[2].(string)))
		if err != nil {
			return "", fmt.Errorf("encoding a gate's document: %w", err)
		}
		return string(text), nil
	}).(pulumi.StringOutput)
}
