package components

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/shell"
)

// How often an SSH connection is tried before a step fails. The plugin retries a
// refused login as it does a machine that is not there yet, and backs off to 5 s
// between tries.
const (
	// createdDials are some 5 minutes, for a server that was just created.
	createdDials = 60
	// knownDials are seconds, for a machine that was there before.
	knownDials = 3
)

// Unreachable explains a host that does not answer, which the plugin only names
// by its address.
type Unreachable struct{ hook *pulumi.ErrorHook }

// NewUnreachable registers the explanation, once for all hosts of a stack: a
// host that is deleted needs it although nothing registers it any more.
func NewUnreachable(ctx *pulumi.Context) (*Unreachable, error) {
	hook, err := ctx.RegisterErrorHook("unreachable", func(args *pulumi.ErrorHookArgs) (bool, error) {
		inputs := args.NewInputs
		if args.FailedOperation == "delete" {
			inputs = args.OldInputs
		}
		if len(args.Errors) == 0 {
			return false, nil
		}
		if text := explainDial(args.Name, args.FailedOperation, targetOf(inputs), args.Errors[0]); text != "" {
			return false, ctx.Log.Error(text, nil)
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("registering what explains unreachable hosts: %w", err)
	}
	return &Unreachable{hook}, nil
}

func (u *Unreachable) option() pulumi.ResourceOption {
	if u == nil {
		return pulumi.Composite()
	}
	return pulumi.ResourceHooks(&pulumi.ResourceHookBinding{OnError: []*pulumi.ErrorHook{u.hook}})
}

// explainDial says which host did not let in whom, and what to do. It is empty
// for a command that failed on the host.
func explainDial(command, operation string, target shell.Target, failure string) string {
	// The plugin asks an agent that is named before it dials, and needs none.
	if strings.HasPrefix(failure, "dial unix ") {
		return fmt.Sprintf("The environment variable SSH_AUTH_SOCK names an SSH agent that does not answer: %s\n"+
			"Nothing was done on the host. The stack logs in with its own key: unset SSH_AUTH_SOCK, and run the same again.", failure)
	}
	_, cause, dialed := strings.Cut(failure, " failed attempts: ")
	if !dialed || target.Host == "" {
		return ""
	}
	host := command[:max(strings.LastIndex(command, "-"), 0)]
	var text strings.Builder
	switch {
	case strings.Contains(cause, "unable to authenticate"):
		fmt.Fprintf(&text, "host %s: %s refuses the login of user %s on port %d with the stack's SSH key",
			host, target.Host, target.User, target.Port)
	case strings.Contains(cause, "host key mismatch"), strings.Contains(cause, "host key algorithm"), strings.Contains(cause, "common algorithm for host key"):
		fmt.Fprintf(&text, "host %s: %s port %d has another host key than the one that the stack knows", host, target.Host, target.Port)
	default:
		fmt.Fprintf(&text, "host %s: %s does not answer on port %d (user %s)", host, target.Host, target.Port, target.User)
	}
	fmt.Fprintf(&text, ": %s\n", cause)
	if operation == "delete" {
		text.WriteString("Its gateway may still run there, with its secrets, so nothing was started in its place.\n")
	}
	fmt.Fprintf(&text, "If the machine is gone for good, give it up: giveUp: true at %s in clawft:hosts, then pulumi up (docs/hosts.md).", host)
	return text.String()
}
