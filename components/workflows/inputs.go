package workflows

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Inputs are what the workflows of a repository depend on.
type Inputs struct {
	// DefaultBranch is where pull requests go, such as "main".
	DefaultBranch string
	// Image is the name that docker-smoke gives to the image it builds, such as
	// "ghcr.io/clawft/clawft". It is never pushed.
	Image string
	// Toolchain is the Rust version that rust-toolchain.toml pins, such as "1.93".
	Toolchain string
	Limits    Limits
	// HealthTimeout is how many seconds a started image has to become healthy.
	HealthTimeout int
	// Dockerfile is the text of the one that releases are built from. It is
	// written beside the gates, so that a pull request is tested with the image
	// that it would be released as.
	Dockerfile string
	// DockerIgnore is the text of its .dockerignore; empty for none.
	DockerIgnore string
	Infra        Infra
	// Stack is deployed by a release, such as "prod", from GitHub's environment of
	// the same name.
	Stack string
}

// Limits are sizes that must not be exceeded; a file of exactly this size passes.
type Limits struct {
	BinaryMiB   int // the release binary
	WasmKiB     int // the WebAssembly module
	WasmGzipKiB int // the same, compressed by gzip -9
	ImageMiB    int // the image's configuration and compressed layers
}

// Infra is the repository with the reusable release workflow.
type Infra struct {
	// Repository is owner/name.
	Repository string
	// Ref is the commit whose workflow is called, 40 hexadecimal digits.
	Ref string
	// Version is what that commit is known as, such as "v1.2.0". It is a comment
	// for whoever reads the workflow.
	Version string
}

var (
	branchPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	imagePattern      = regexp.MustCompile(`^[a-z0-9][a-z0-9._/:-]*$`)
	toolchainPattern  = regexp.MustCompile(`^[0-9]+\.[0-9]+(\.[0-9]+)?$`)
	repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
	commitPattern     = regexp.MustCompile(`^[0-9a-f]{40}$`)
	namePattern       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
)

// Validate names every field that would not render to a working workflow. The
// values end up in YAML and in shell commands, so each has to be of its kind.
func (in Inputs) Validate() error {
	var problems []error
	text := func(name, value string, pattern *regexp.Regexp, want string) {
		if !pattern.MatchString(value) {
			problems = append(problems, fmt.Errorf("%s is %q; give %s", name, value, want))
		}
	}
	positive := func(name string, value int) {
		if value < 1 {
			problems = append(problems, fmt.Errorf("%s is %d; give at least 1", name, value))
		}
	}
	text("DefaultBranch", in.DefaultBranch, branchPattern, `a branch, such as "main"`)
	text("Image", in.Image, imagePattern, `an image without a tag in lower case, such as "ghcr.io/clawft/clawft"`)
	text("Toolchain", in.Toolchain, toolchainPattern, `a Rust version, such as "1.93"`)
	positive("Limits.BinaryMiB", in.Limits.BinaryMiB)
	positive("Limits.WasmKiB", in.Limits.WasmKiB)
	positive("Limits.WasmGzipKiB", in.Limits.WasmGzipKiB)
	positive("Limits.ImageMiB", in.Limits.ImageMiB)
	positive("HealthTimeout", in.HealthTimeout)
	if strings.TrimSpace(in.Dockerfile) == "" {
		problems = append(problems, errors.New("the Dockerfile is empty; give the text of the Dockerfile that releases are built from"))
	}
	text("Infra.Repository", in.Infra.Repository, repositoryPattern, `owner/name, such as "clawft/infra"`)
	text("Infra.Ref", in.Infra.Ref, commitPattern, "a commit, 40 hexadecimal digits")
	text("Infra.Version", in.Infra.Version, namePattern, `the version of that commit, such as "v1.2.0"`)
	text("Stack", in.Stack, namePattern, `a stack, such as "prod"`)
	return errors.Join(problems...)
}
