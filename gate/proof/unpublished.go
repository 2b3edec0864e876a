package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clawft/infra/registry"
)

// Unpublished proves that a build of a release is not published yet, or is this
// very image: what its tag stands for never changes. The tags that move do so
// only if they still may. What was decided about both before the build, perhaps of
// a repository that did not exist, is looked at again here.
type Unpublished struct {
	Image
	Version string `json:"version"`
	// Revision is that of a release that was built again, or 0.
	Revision int `json:"revision,omitempty"`
	// Tags are those that the image is to get.
	Tags []string `json:"tags"`
}

// Run asks for the tags of the repository.
func (u *Unpublished) Run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	repository, err := registry.Open(u.Repository, u.Login)
	if err != nil {
		return "", err
	}
	tag := registry.Tag(u.Version, u.Revision)
	published, err := repository.Digest(ctx, tag)
	absent := errors.Is(err, registry.ErrNotFound)
	switch {
	case err != nil && !absent:
		return "", err
	case !absent && published != u.Digest:
		return "", fmt.Errorf("version %s is published already with other content: %s:%s is %s, and this image is %s; "+
			"raise clawft:version, raise clawft:image.revision to publish a rebuild beside it, "+
			"or deploy what is published: without clawft:image.source, and with clawft:image.digest %s",
			tag, u.Repository, tag, published, u.Digest, published)
	}
	existing, err := repository.Tags(ctx)
	if err != nil {
		return "", err
	}
	may := registry.PublicTags(u.Version, u.Revision, existing)
	for _, wanted := range u.Tags {
		if !slices.Contains(may, wanted) {
			return "", fmt.Errorf("the tag %s of %s belongs to a higher release by now, so %s may only have %s; run pulumi up again, which sees that release",
				wanted, u.Repository, tag, strings.Join(may, ", "))
		}
	}
	if absent {
		return tag + " is not published yet", nil
	}
	return tag + " is published already, with this digest", nil
}
