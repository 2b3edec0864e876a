package toolchain

import "path/filepath"

// Tool is a program that is pinned in tools/<Name>.
type Tool struct {
	// Name is both the directory under tools/ and the program's own name.
	Name string
	// VersionVariable is the string variable that the program's authors set with
	// the linker's -X; empty if the version does not matter to anybody.
	VersionVariable string
	// BuildTime says how long a first build takes, for whoever waits for it.
	BuildTime string
	// VersionArgs make the program print its version, among other words.
	VersionArgs string
	// DockerPlugin tells that the program is installed as a plugin of Docker's
	// client, which is not on PATH.
	DockerPlugin bool
	// Newer tells that a newer version of the same major version does the same
	// for the lab. Of a linter, it finds something else.
	Newer bool
}

// The tools, with build times measured on 2 cores and an empty build cache.
var (
	// Pulumi must know its version: the Automation API and the providers ask. An
	// engine runs programs of its own and of older SDKs, within a major version.
	Pulumi = Tool{
		Name:            "pulumi",
		VersionVariable: "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version",
		BuildTime:       "4 to 5 minutes",
		VersionArgs:     "version",
		Newer:           true,
	}
	Buildkitd = Tool{
		Name:            "buildkitd",
		VersionVariable: "github.com/moby/buildkit/version.Version",
		BuildTime:       "2 to 3 minutes",
		// One that was built without the worker that the lab uses knows no such flag.
		VersionArgs: "--oci-worker=true --version",
		Newer:       true,
	}
	Buildx = Tool{
		Name:            "buildx",
		VersionVariable: "github.com/docker/buildx/version.Version",
		BuildTime:       "2 to 3 minutes",
		VersionArgs:     "version",
		DockerPlugin:    true,
		Newer:           true,
	}
	Actionlint = Tool{
		Name:            "actionlint",
		VersionVariable: "github.com/rhysd/actionlint.version",
		BuildTime:       "half a minute",
		VersionArgs:     "-version",
	}
	GolangciLint = Tool{Name: "golangci-lint", BuildTime: "1 to 2 minutes", VersionArgs: "version --short"}
	Act          = Tool{Name: "act", BuildTime: "1 minute", VersionArgs: "--version"}
)

// dir is the tool's module.
func (t Tool) dir(root string) string { return filepath.Join(root, "tools", t.Name) }

// binary is where the tool is kept.
func (t Tool) binary(root, version string) string {
	return filepath.Join(binDir(root), t.Name+"-"+version)
}

func binDir(root string) string { return filepath.Join(root, ".lab", "cache", "bin") }
