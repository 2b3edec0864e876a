package components

import (
	"fmt"
	"slices"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Collection holds what a program registers.
type Collection struct {
	mu                    sync.Mutex
	resources, components []pulumi.Resource
}

// Collect notes every resource that is registered from now on.
func Collect(ctx *pulumi.Context) *Collection {
	collection := &Collection{}
	// It never fails: the context's own error is for transformations after the end.
	_ = ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		collection.mu.Lock()
		defer collection.mu.Unlock()
		if _, custom := args.Resource.(pulumi.CustomResource); custom {
			collection.resources = append(collection.resources, args.Resource)
		} else {
			collection.components = append(collection.components, args.Resource)
		}
		return nil
	})
	return collection
}

// ProtectionArgs says what a stack's protection is about.
type ProtectionArgs struct {
	// Protect refuses to destroy the stack.
	Protect bool
	// Of is what would be destroyed.
	Of *Collection
}

// NewProtection registers what stands in front of everything else when a stack
// is destroyed. Pulumi deletes what nothing depends on first, and stops at what
// is protected only when its turn comes: by then a server would still be there,
// but not the gateway on it, nor a published tag. This depends on everything, so
// its turn is the first.
func NewProtection(ctx *pulumi.Context, name string, args *ProtectionArgs, opts ...pulumi.ResourceOption) error {
	args.Of.mu.Lock()
	resources, components := slices.Clone(args.Of.resources), slices.Clone(args.Of.components)
	args.Of.mu.Unlock()
	_, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: pulumi.String("stands before all else when the stack is destroyed")},
		append(opts, pulumi.Protect(args.Protect), pulumi.DependsOn(resources),
			// A dependency on a component is one on what is below it only, which may be
			// nothing. This is one on the component itself, which is never replaced.
			pulumi.ReplaceWith(components))...)
	if err != nil {
		return fmt.Errorf("registering the stack's protection: %w", err)
	}
	return nil
}
