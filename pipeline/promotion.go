package pipeline

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// promotion is an image that another stack runs.
type promotion struct {
	digest string
	// publicKeys are those that the other stack demands a signature by.
	publicKeys []string
}

// promoted returns the image that another stack runs, if this stack takes its. It
// must be of this stack's repository and version: a promotion that moves something else than the
// configuration says is a mistake in one of the two.
func (c *Config) promoted(ctx *pulumi.Context) (promotion, error) {
	from := c.Image.PromoteFrom
	if from == "" {
		return promotion{}, nil
	}
	other, err := pulumi.NewStackReference(ctx, from, nil)
	if err != nil {
		return promotion{}, fmt.Errorf("referring to stack %s (clawft:image.promoteFrom): %w", from, err)
	}
	outputs := map[string]string{}
	for _, name := range []string{"image", "version"} {
		details, err := other.GetOutputDetails(name)
		if err != nil {
			return promotion{}, fmt.Errorf("reading the output %s of stack %s (clawft:image.promoteFrom): %w", name, from, err)
		}
		outputs[name], _ = details.Value.(string)
		if outputs[name] == "" {
			return promotion{}, fmt.Errorf("clawft:image.promoteFrom: stack %s has no output %q, so there is nothing to promote; deploy it first with `pulumi up --stack %s`",
				from, name, from)
		}
	}
	repository, digest, _ := strings.Cut(outputs["image"], "@")
	switch {
	case !digestPattern.MatchString(digest):
		return promotion{}, fmt.Errorf("clawft:image.promoteFrom: stack %s says that it runs %q, which is no image by digest; deploy it again with `pulumi up --stack %s`",
			from, outputs["image"], from)
	case repository != c.Image.Repository:
		return promotion{}, fmt.Errorf("clawft:image.repository is %s, but stack %s (clawft:image.promoteFrom) runs an image of %s; "+
			"a digest is promoted within one repository, so set clawft:image.repository to that one",
			c.Image.Repository, from, repository)
	case outputs["version"] != c.Version:
		return promotion{}, fmt.Errorf("clawft:version is %s, but stack %s (clawft:image.promoteFrom) runs %s; set clawft:version to %s, or deploy %s there first",
			c.Version, from, outputs["version"], outputs["version"], c.Version)
	}
	keys, err := other.GetOutputDetails("publicKeys")
	if err != nil {
		return promotion{}, fmt.Errorf("reading the output publicKeys of stack %s (clawft:image.promoteFrom): %w", from, err)
	}
	listed, _ := keys.Value.([]any)
	promoted := promotion{digest: digest}
	for _, key := range listed {
		text, _ := key.(string)
		promoted.publicKeys = append(promoted.publicKeys, text)
	}
	return promoted, nil
}
