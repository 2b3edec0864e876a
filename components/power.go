package components

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/internal/shell"
)

const (
	// hookDials is how often a server is dialled that should answer.
	hookDials = 3
	// bootDials is how often a server is dialled that was just powered on; a try that nobody answers
	// takes up to 13 s.
	bootDials = 60
	// powerTimeout bounds what is done on a server before or after its power is cut.
	powerTimeout = 20 * time.Minute
)

// power keeps gateways from losing what they write when a change of their server cuts the power: the
// hcloud plugin resizes by a hard poweroff. Its hooks run in an update only, never in a preview, and do
// nothing unless the change is such a one.
type power struct {
	ctx     *pulumi.Context
	binding *pulumi.ResourceHookBinding

	mu sync.Mutex
	// targets are the servers by their resource's name.
	targets map[string]shell.Target
}

func newPower(ctx *pulumi.Context, name string) (*power, error) {
	p := &power{ctx: ctx, targets: map[string]shell.Target{}}
	before, err := ctx.RegisterResourceHook(name+"-power-off", p.before, nil)
	if err != nil {
		return nil, fmt.Errorf("registering a hook: %w", err)
	}
	after, err := ctx.RegisterResourceHook(name+"-power-on", p.after, nil)
	if err != nil {
		return nil, fmt.Errorf("registering a hook: %w", err)
	}
	failed, err := ctx.RegisterErrorHook(name+"-power-failed", p.failed)
	if err != nil {
		return nil, fmt.Errorf("registering a hook: %w", err)
	}
	p.binding = &pulumi.ResourceHookBinding{
		BeforeUpdate: []*pulumi.ResourceHook{before},
		AfterUpdate:  []*pulumi.ResourceHook{after},
		OnError:      []*pulumi.ErrorHook{failed},
	}
	return p, nil
}

// knows how to reach a server, but for its address.
func (p *power) knows(server string, target shell.Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets[server] = target
}

func (p *power) target(server string, outputs resource.PropertyMap) shell.Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	target := p.targets[server]
	target.Host = plainText(outputs["ipv4Address"])
	return target
}

// cut tells whether a change cuts the power of a server.
func cut(before, after resource.PropertyMap) bool {
	for _, input := range []resource.PropertyKey{"serverType", "publicNets"} {
		if !before[input].DeepEquals(after[input]) {
			return true
		}
	}
	return false
}

func (p *power) before(change *pulumi.ResourceHookArgs) error {
	if !cut(change.OldInputs, change.NewInputs) {
		return nil
	}
	if plainText(change.OldOutputs["status"]) == "off" {
		return nil
	}
	err := p.run(p.target(change.Name, change.OldOutputs), hookDials, cloudinit.PowerOff)
	if err != nil {
		server := plainText(change.OldInputs["name"])
		return fmt.Errorf("this change cuts the power of server %s, so its gateway has to end first, and it does not: %w.\n"+
			"The server was not changed. Where no login key is accepted: docs/keys.md. "+
			"To resize a server that cannot be reached: hcloud server poweroff %[1]s, then pulumi up --refresh", server, err)
	}
	return nil
}

func (p *power) after(change *pulumi.ResourceHookArgs) error {
	if !cut(change.OldInputs, change.NewInputs) {
		return nil
	}
	err := p.run(p.target(change.Name, change.NewOutputs), bootDials, cloudinit.PowerOn)
	if err != nil {
		return fmt.Errorf("server %s was changed, and its gateway is not back: %w.\n"+
			"Once the server answers, `systemctl restart clawft` on it starts the gateway",
			plainText(change.NewInputs["name"]), err)
	}
	return nil
}

// failed starts the gateway again that was ended for a change that then failed. It asks for no second try.
func (p *power) failed(change *pulumi.ErrorHookArgs) (bool, error) {
	if change.FailedOperation != "update" || !cut(change.OldInputs, change.NewInputs) {
		return false, nil
	}
	if err := p.run(p.target(change.Name, change.OldOutputs), hookDials, cloudinit.PowerOn); err != nil {
		server := plainText(change.OldInputs["name"])
		message := fmt.Sprintf("Server %s was not changed, and its gateway is not back: %v.\n"+
			"If the server is off: hcloud server poweron %[1]s; the gateway starts with it", server, err)
		if err := p.ctx.Log.Error(message, nil); err != nil {
			return false, fmt.Errorf("logging an error: %w", err)
		}
	}
	return false, nil
}

func (p *power) run(target shell.Target, dials int, word string) error {
	ctx, cancel := context.WithTimeout(p.ctx.Context(), powerTimeout)
	defer cancel()
	connected, err := shell.Dial(ctx, target, dials)
	if err != nil {
		return err
	}
	defer connected.Close()
	_, err = connected.Run(ctx, cloudinit.Power(), word)
	return err
}
