package components

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Owner says whose a host is: hosts keep its ID, and let nobody else change what
// runs on them.
type Owner struct {
	pulumi.ResourceState

	// ID is 16 hexadecimal digits, random, and lives in the stack's state: a stack
	// that is renamed or moved to another backend still owns its hosts, and one of
	// the same name in another backend does not. It is no secret.
	ID pulumi.StringOutput
	// Stack is the stack's name, organization/project/stack, for people to read.
	Stack string
}

// NewOwner registers the ID, which the first run of the stack draws.
func NewOwner(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*Owner, error) {
	owner := &Owner{Stack: fmt.Sprintf("%s/%s/%s", ctx.Organization(), ctx.Project(), ctx.Stack())}
	if err := ctx.RegisterComponentResource("clawft:index:Owner", name, owner, opts...); err != nil {
		return nil, err
	}
	drawn := make([]byte, 8)
	_, _ = rand.Read(drawn) // never fails
	id, err := pulumi.NewStash(ctx, name+"-id", &pulumi.StashArgs{
		Input: pulumi.String(hex.EncodeToString(drawn)),
	}, pulumi.Parent(owner),
		// Every run draws one; the first is kept.
		pulumi.IgnoreChanges([]string{"input"}))
	if err != nil {
		return nil, fmt.Errorf("registering the owner's ID: %w", err)
	}
	owner.ID = id.Output.ApplyT(func(kept any) (string, error) {
		text, ok := kept.(string)
		if !ok {
			return "", fmt.Errorf("reading the owner's ID from the stack's state: %v is no text", kept)
		}
		return text, nil
	}).(pulumi.StringOutput)
	return owner, ctx.RegisterResourceOutputs(owner, pulumi.Map{"id": owner.ID})
}
