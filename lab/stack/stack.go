package stack

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Project is the Pulumi project that the lab runs: the product's.
const Project = "clawft"

// Options says what to run and where.
type Options struct {
	// Dir is the lab's directory; the stack lives in subdirectories of it.
	Dir string
	// Home is where a user's machine has what is its own: the project's directory,
	// and what Pulumi keeps. Default: Dir.
	Home string
	// Name is the stack's name.
	Name string
	// ProjectFile and StackFile are the product's Pulumi.yaml and
	// Pulumi.<name>.yaml. They are copied, so that the checkout stays clean.
	ProjectFile, StackFile string
	// Pulumi is the path of the pulumi command.
	Pulumi string
	// Providers is the value of PULUMI_DEBUG_PROVIDERS.
	Providers string
	// Settings are configuration values on top of the stack file's.
	Settings Settings
	// Program is what the stack runs.
	Program pulumi.RunFunc
}

func (o Options) home() string { return cmp.Or(o.Home, o.Dir) }

// Stack is a Pulumi stack of the lab.
type Stack struct {
	auto.Stack
	options Options
}

// ProjectDir is the directory that relative paths in the stack's configuration
// start from.
func ProjectDir(home string) string { return filepath.Join(home, "project") }

// Open creates the stack, or selects it where it exists.
func Open(ctx context.Context, options Options) (*Stack, error) {
	project := ProjectDir(options.home())
	home := filepath.Join(options.home(), "home")
	state := filepath.Join(options.Dir, "state")
	for _, dir := range []string{project, home, state} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("creating a directory of the stack: %w", err)
		}
	}
	passphraseFile := filepath.Join(options.Dir, "passphrase")
	passphrase, err := loadPassphrase(passphraseFile)
	if err != nil {
		return nil, err
	}
	if err := copyFile(options.ProjectFile, filepath.Join(project, "Pulumi.yaml")); err != nil {
		return nil, err
	}
	if err := options.writeSettings(ctx, passphrase, options.Settings); err != nil {
		return nil, err
	}
	if err := options.announceKeys(); err != nil {
		return nil, err
	}
	command, err := pulumiCommand(filepath.Join(options.home(), "cli"), options.Pulumi)
	if err != nil {
		return nil, err
	}
	selected, err := auto.UpsertStackInlineSource(ctx, options.Name, Project, options.Program,
		auto.WorkDir(project),
		auto.PulumiHome(home),
		auto.Pulumi(command),
		auto.EnvVars(map[string]string{
			"PULUMI_BACKEND_URL":                          "file://" + state,
			"PULUMI_CONFIG_PASSPHRASE_FILE":               passphraseFile,
			"PULUMI_DEBUG_PROVIDERS":                      options.Providers,
			"PULUMI_SKIP_UPDATE_CHECK":                    "true",
			"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		}))
	if err != nil {
		return nil, fmt.Errorf("opening the stack: %w", err)
	}
	return &Stack{Stack: selected, options: options}, nil
}

// loadPassphrase reads what encrypts the stack's secrets, or makes it.
func loadPassphrase(path string) (string, error) {
	passphrase, err := os.ReadFile(path)
	if err == nil && len(passphrase) > 0 {
		return string(passphrase), nil
	}
	fresh := rand.Text()
	if err := os.WriteFile(path, []byte(fresh), 0o600); err != nil {
		return "", fmt.Errorf("writing the stack's passphrase: %w", err)
	}
	return fresh, nil
}

// pulumiCommand makes the Automation API use one given binary, which it looks
// for as bin/pulumi below a root.
func pulumiCommand(root, binary string) (auto.PulumiCommand, error) {
	bin := filepath.Join(root, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return nil, fmt.Errorf("creating a directory of the stack: %w", err)
	}
	link := filepath.Join(bin, "pulumi")
	if target, err := os.Readlink(link); err != nil || target != binary {
		_ = os.Remove(link)
		if err := os.Symlink(binary, link); err != nil {
			return nil, fmt.Errorf("linking the pulumi command: %w", err)
		}
	}
	command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: root, SkipVersionCheck: true})
	if err != nil {
		return nil, fmt.Errorf("using %s: %w", binary, err)
	}
	return command, nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("reading a project file: %w", err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		return fmt.Errorf("writing a project file: %w", err)
	}
	return nil
}
