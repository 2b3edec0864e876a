package toolchain

import "path/filepath"

// Tool is a program that is built from tools/<Name>.
type Tool struct {
	// Name is both the directory under tools/ and the program's own name.
	Name string
	// VersionVariable is the string variable that the program's authors set with
	// the linker's -X; empty if the version does not matter to anybody.
	VersionVariable string
	// BuildTime says how long a first build takes, for whoever waits for it.
	BuildTime string
}

// The tools, with build times measured on 2 cores and an empty build cache.
var (
	// Pulumi must know its version: the Automation API and the providers ask.
	Pulumi = Tool{
		Name:            "pulumi",
		VersionVariable: "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version",
		BuildTime:       "4 to 5 minutes",
	}
	Buildkitd = Tool{
		Name:            "buildkitd",
		VersionVariable: "github.com/moby/buildkit/version.Version",
		BuildTime:       "2 to 3 minutes",
	}
	Buildx = Tool{
		Name:            "buildx",
		VersionVariable: "github.com/docker/buildx/version.Version",
		BuildTime:       "2 to 3 minutes",
	}
	Actionlint = Tool{
		Name:            "actionlint",
		VersionVariable: "github.com/rhysd/actionlint.version",
		BuildTime:       "half a minute",
	}
	GolangciLint = Tool{Name: "golangci-lint", BuildTime: "1 to 2 minutes"}
	Act          = Tool{Name: "act", BuildTime: "1 minute"}
)

// dir is the tool's module.
func (t Tool) dir(root string) string { return filepath.Join(root, "tools", t.Name) }

// binary is where the built tool is kept.
func (t Tool) binary(root, version string) string {
	return filepath.Join(binDir(root), t.Name+"-"+version)
}

func binDir(root string) string { return filepath.Join(root, ".lab", "cache", "bin") }
