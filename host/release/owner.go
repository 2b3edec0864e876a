package release

import (
	"errors"
	"fmt"
	"regexp"
)

// Owner says whose a gateway is. A host keeps it with what runs.
type Owner struct {
	// ID is the stack's own, 16 hexadecimal digits.
	ID string `json:"id"`
	// Gateway is the gateway's name within the stack, and on the host: of its
	// directory, its unit and its container.
	Gateway string `json:"gateway"`
	// Stack is organization/project/stack. It is only shown.
	Stack string `json:"stack"`
	// Takes are those whose gateway this one may become, with the data, as "ID/gateway".
	Takes []string `json:"takes,omitempty"`
}

// MaxGatewayName is the length of a host's name in DNS.
const MaxGatewayName = 63

var (
	ownerIDPattern = regexp.MustCompile(`^[0-9a-f]{16}$`)
	gatewayPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	stackPattern   = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){2}$`)
	// TakePattern is what the host's messages tell to give: an owner and a gateway that are there.
	TakePattern = regexp.MustCompile(`^([0-9a-f]{16})/[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

// ValidGateway tells whether a name is one that a gateway may have. It becomes a
// part of paths and units.
func ValidGateway(name string) bool {
	return len(name) <= MaxGatewayName && gatewayPattern.MatchString(name)
}

// Key is the owner and the gateway as "ID/gateway", as Takes has them.
func (o Owner) Key() string { return o.ID + "/" + o.Gateway }

// String is how messages name an owner's gateway.
func (o Owner) String() string {
	return fmt.Sprintf("gateway %s of stack %s (owner %s)", o.Gateway, o.Stack, o.ID)
}

// Validate reports every problem at once.
func (o Owner) Validate() error { return errors.Join(o.validate()...) }

func (o Owner) validate() []error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !ownerIDPattern.MatchString(o.ID) {
		add("owner.id: %q is not 16 hexadecimal digits", o.ID)
	}
	if !ValidGateway(o.Gateway) {
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
