package cloudinit

import (
	"fmt"
	"regexp"
	"strings"
)

// Owner says whose a host is, and which gateway of theirs runs there. The host keeps it with the release.
type Owner struct {
	// ID is the stack's own, 16 hexadecimal digits.
	ID string `json:"id"`
	// Gateway is the gateway's name within the stack.
	Gateway string `json:"gateway"`
	// Stack is organization/project/stack. It is only shown.
	Stack string `json:"stack"`
	// Takes are those whose host this one may become, as "ID/gateway".
	Takes []string `json:"takes"`
}

var (
	ownerIDPattern     = regexp.MustCompile(`^[0-9a-f]{16}$`)
	gatewayNamePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	stackPattern       = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){2}$`)
	// TakePattern is what the host's messages tell to give: the owner and the gateway that are recorded there.
	TakePattern = regexp.MustCompile(`^([0-9a-f]{16}|unknown)/[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

func (o Owner) validate() []error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !ownerIDPattern.MatchString(o.ID) {
		add("owner.id: %q is not 16 hexadecimal digits", o.ID)
	}
	if !gatewayNamePattern.MatchString(o.Gateway) {
		add("owner.gateway: %q is not a host's name", o.Gateway)
	}
	if !stackPattern.MatchString(o.Stack) {
		add("owner.stack: %q is not organization/project/stack", o.Stack)
	}
	for n, take := range o.Takes {
		if !TakePattern.MatchString(take) {
			add("owner.takes[%d]: %q is not an owner and a gateway, such as 0123456789abcdef/gw-1", n, take)
		}
	}
	return problems
}

// BootstrapCommand runs Bootstrap from standard input. It changes nothing on a host that is another's.
func (o Owner) BootstrapCommand() string {
	return strings.Join(append([]string{"bash", "-s", "--", o.ID, o.Gateway, o.Stack}, o.Takes...), " ")
}

// RemoveCommand stops and removes the gateway and its proxy, if they are still the owner's; the data
// directory stays.
func (o Owner) RemoveCommand() string {
	return fmt.Sprintf("%sremove %s %s", libDirectory, o.ID, o.Gateway)
}
