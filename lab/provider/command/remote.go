package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-command/sdk/go/command/remote"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/ssh"

	"github.com/clawft/infra/lab/provider"
)

// remoteInputs is what a run needs to know beside its command.
type remoteInputs struct {
	settings
	host        endpoint
	proxy       *endpoint
	environment map[string]string
}

func remoteCommand() provider.Resource {
	return resourceOf(provider.Resource{
		Token:   "command:remote:Command",
		Args:    remote.CommandArgs{},
		State:   &remote.Command{},
		Secret:  []string{"connection"},
		Default: withDefaults,
		Check:   checkLogging,
	}, runRemote)
}

func decodeRemote(inputs property.Map) (remoteInputs, error) {
	var decoded remoteInputs
	var own struct {
		Connection  remote.Connection `pulumi:"connection"`
		Environment map[string]string `pulumi:"environment"`
	}
	if err := provider.Decode(inputs, &decoded.settings); err != nil {
		return remoteInputs{}, err
	}
	if err := provider.Decode(inputs, &own); err != nil {
		return remoteInputs{}, err
	}
	if err := provider.Decode(inputs.Get("connection").AsMap(), &decoded.host); err != nil {
		return remoteInputs{}, err
	}
	decoded.proxy, decoded.environment = own.Connection.Proxy, own.Environment
	return decoded, nil
}

// runRemote executes command in a connection of its own. When ctx ends the
// connection is closed, and sshd hangs up on the command.
func runRemote(ctx context.Context, command string, inputs property.Map, last output) (output, error) {
	in, err := decodeRemote(inputs)
	if err != nil {
		return output{}, err
	}
	client, err := dial(ctx, in.host, in.proxy)
	if err != nil {
		return output{}, err
	}
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()

	session, err := client.NewSession()
	if err != nil {
		return output{}, err
	}
	defer session.Close()
	if err := in.setEnvironment(ctx, session, last); err != nil {
		return output{}, err
	}
	if in.Stdin != "" {
		session.Stdin = strings.NewReader(in.Stdin)
	}
	printed := newCapture(ctx, in.Logging)
	session.Stdout, session.Stderr = &printed.stdout, &printed.stderr
	err = session.Run(command)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return printed.end(command, err)
}

// setEnvironment fails on a variable that sshd does not accept, except for the
// previous output, which is only worth a warning.
func (in remoteInputs) setEnvironment(ctx context.Context, session *ssh.Session, last output) error {
	for _, name := range slices.Sorted(maps.Keys(in.environment)) {
		if err := session.Setenv(name, in.environment[name]); err != nil {
			p.GetLogger(ctx).Error(refused(name))
			return fmt.Errorf("could not set environment variable %q: %w", name, err)
		}
	}
	for _, variable := range in.previousOutput(last) {
		if err := session.Setenv(variable[0], variable[1]); err != nil {
			p.GetLogger(ctx).Warning(refused(variable[0]))
		}
	}
	return nil
}

func refused(name string) string {
	return fmt.Sprintf("Unable to set '%s': the SSH server accepts only the variables in its AcceptEnv. "+
		"With a shell on the remote side, write 'VAR=value command' instead.", name)
}
