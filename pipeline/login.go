package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/registry"
)

// pullTimeout bounds the questions to the registry whether the hosts may pull.
const pullTimeout = 30 * time.Second

// checkPush asks the registry whether this stack may push. A preview may be made by
// who can only read, so all that it demands is a login that is accepted, where the
// registry wants one. The error is a refusal; doubt is what was no clear answer.
func (c *Config) checkPush(ctx context.Context, stack string, preview bool) (doubt, err error) {
	repository, err := registry.Open(c.Image.Repository, c.Image.Push.registry())
	if err != nil {
		return nil, err
	}
	user, err := repository.User(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w; repair it, or set clawft:image.username and clawft:registryPassword", err)
	}
	asked := repository.CheckLogin(ctx)
	if asked == nil && (!preview || user == "") {
		asked = repository.MayPush(ctx)
	}
	switch {
	case errors.Is(asked, registry.ErrRefused) && c.Image.Push != nil:
		return nil, c.refused(stack, asked, "clawft:registryPassword", "clawft:image.username", c.Image.Push)
	case errors.Is(asked, registry.ErrRefused):
		return nil, fmt.Errorf("clawft:image.repository is %s, and of Docker's own login on this machine, as user %q: %w; log in again: docker login %s, or set clawft:image.username and clawft:registryPassword",
			c.Image.Repository, user, asked, repository.Server())
	case errors.Is(asked, registry.ErrDenied) && user == "":
		return nil, fmt.Errorf("clawft:image.repository is %s, which this stack pushes to, and nobody is logged in there on this machine: %w",
			c.Image.Repository, asked)
	case errors.Is(asked, registry.ErrNone):
		return nil, fmt.Errorf("clawft:image.repository is %s: %w; give the registry that the image is pushed to", c.Image.Repository, asked)
	case !preview && (errors.Is(asked, registry.ErrDenied) || errors.Is(asked, registry.ErrNotFound)):
		return nil, asked
	}
	return asked, nil
}

// checkPull asks the registry whether the hosts may pull: the image of a digest that
// exists already, or, without one, whether their login is accepted. What runs on
// them already they need not pull again.
func (c *Config) checkPull(ctx *pulumi.Context, digest string, before before) error {
	if len(c.Hosts) == 0 {
		return nil
	}
	repository, err := registry.Open(c.Image.Repository, c.Image.puller())
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx.Context(), pullTimeout)
	defer cancel()
	if c.Image.Pull != nil {
		err = repository.CheckLogin(asking)
	}
	if err == nil && digest != "" {
		err = repository.Has(asking, digest)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, registry.ErrRefused):
		return c.refused(ctx.Stack(), err, "clawft:registryPullToken", "clawft:image.pullUsername", c.Image.Pull)
	case errors.Is(err, registry.ErrDenied), errors.Is(err, registry.ErrNotFound), errors.Is(err, registry.ErrNone):
		err = fmt.Errorf("the hosts cannot pull %s@%s: %w; %s", c.Image.Repository, digest, err, c.pullAdvice(ctx.Stack(), err))
		if before.digest != digest {
			return err
		}
		return warn(ctx, "%v", err)
	}
	return warn(ctx, "nobody knows whether the hosts may pull from %s: %v", c.Image.Repository, err)
}

func (c *Config) pullAdvice(stack string, err error) string {
	switch {
	case c.Image.Pull != nil:
		return fmt.Sprintf("let user %q read it, or set another clawft:registryPullToken", c.Image.Pull.Username)
	case errors.Is(err, registry.ErrDenied):
		return fmt.Sprintf("make it public, or let the hosts log in: pulumi config set --stack %s --path 'clawft:image.pullUsername' USER, "+
			"and pulumi config set --stack %s --secret clawft:registryPullToken", stack, stack)
	}
	return "give an image that exists, or, if it is private, clawft:image.pullUsername and clawft:registryPullToken"
}

// refused says what to do about a login of the configuration.
func (c *Config) refused(stack string, err error, password, user string, login *RegistryLogin) error {
	return fmt.Errorf("%s does not belong to user %q (%s) of %s, or is no longer valid: %w; set another one: pulumi config set --stack %s --secret %s",
		password, login.Username, user, login.Server, err, stack, password)
}
