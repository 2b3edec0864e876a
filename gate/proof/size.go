package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// readTimeout bounds the questions to a registry of one proof.
const readTimeout = 2 * time.Minute

const mebibyte = 1 << 20

// Size proves that an image has all its platforms and that none is larger,
// compressed, than the limit.
type Size struct {
	Image
	// Platforms are those that must be there, such as linux/arm64.
	Platforms []string `json:"platforms"`
	// LimitMiB is the most that a platform's config and layers may be, in MiB.
	LimitMiB int `json:"limitMiB"`
}

// Run reads the manifests; it pulls no layer.
func (s *Size) Run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	image, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	var problems []error
	for _, platform := range s.Platforms {
		if _, found := image.For(platform); !found {
			problems = append(problems, fmt.Errorf("%s has no image for %s; its platforms are: %s", image.Ref, platform, image.Names()))
		}
	}
	var sizes []string
	limit := int64(s.LimitMiB) * mebibyte
	for _, platform := range image.Platforms {
		sizes = append(sizes, fmt.Sprintf("%s %.1f MiB", platform.Name, float64(platform.Bytes)/mebibyte))
		if platform.Bytes > limit {
			problems = append(problems, fmt.Errorf(
				"the image for %s is %.1f MiB compressed (%d bytes), over the limit of %d MiB (%d bytes); make it smaller, or raise clawft:image.sizeLimitMiB",
				platform.Name, float64(platform.Bytes)/mebibyte, platform.Bytes, s.LimitMiB, limit))
		}
	}
	if len(problems) > 0 {
		return "", errors.Join(problems...)
	}
	slices.Sort(sizes)
	return fmt.Sprintf("compressed: %s; limit %d MiB", strings.Join(sizes, ", "), s.LimitMiB), nil
}
