package proof

import (
	"strings"
	"testing"

	"github.com/clawft/infra/internal/testregistry"
)

func TestSize(t *testing.T) {
	const limit = 1 << 20
	for _, test := range []struct {
		name      string
		platforms map[string]int64
		want      string
		problems  []string
	}{
		{
			"exactly the limit", map[string]int64{"linux/amd64": limit, "linux/arm64": limit / 2},
			"compressed: linux/amd64 1.0 MiB, linux/arm64 0.5 MiB; limit 1 MiB", nil,
		},
		{
			"one byte more", map[string]int64{"linux/amd64": limit / 2, "linux/arm64": limit + 1}, "",
			[]string{"the image for linux/arm64 is 1.0 MiB compressed (1048577 bytes), over the limit of 1 MiB (1048576 bytes)"},
		},
		{
			"an attestation of any size", map[string]int64{"linux/amd64": 1000, "linux/arm64": 1000, "unknown/unknown": 2 * limit},
			"compressed: linux/amd64 0.0 MiB, linux/arm64 0.0 MiB; limit 1 MiB", nil,
		},
		{
			"a platform missing, and another too large", map[string]int64{"linux/amd64": 3 * limit}, "",
			[]string{"has no image for linux/arm64; its platforms are: linux/amd64", "the image for linux/amd64 is 3.0 MiB"},
		},
		{
			"a platform too large that nobody asked for", map[string]int64{"linux/amd64": 1000, "linux/arm64": 1000, "linux/arm": 2 * limit}, "",
			[]string{"the image for linux/arm is 2.0 MiB"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			repository := testregistry.New(t)
			digest := testregistry.Push(t, repository, "0.6.19", indexOf(t, test.platforms))
			size := Size{
				Image:     Image{Repository: repository, Digest: digest},
				Platforms: []string{"linux/amd64", "linux/arm64"},
				LimitMiB:  1,
			}
			got, err := size.Run(t.Context())
			if test.problems != nil {
				wantError(t, err, test.problems...)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestSizeOfNothing(t *testing.T) {
	digest := "sha256:" + strings.Repeat("1", 64)
	size := Size{Image: Image{Repository: testregistry.New(t), Digest: digest}, LimitMiB: 1}
	_, err := size.Run(t.Context())
	wantError(t, err, digest, "does not have it")
}
