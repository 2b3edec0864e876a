package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/clawft/infra/lab/engine"
	"github.com/clawft/infra/lab/toolchain"
)

// phase is one step of the checks.
type phase struct {
	name, about string
	run         func(context.Context) error
}

// checks runs the phases on a checkout and keeps what the summary shows.
type checks struct {
	root    string
	times   []string
	results []string // what go test says last about each package
}

func (c *checks) phases() []phase {
	return []phase{
		{"setup", "what the checks need on this machine", c.setup},
		{"format", "gofmt", c.format},
		{"vet", "go vet, both modules", c.vet},
		{"build", "the product without the workspace", c.build},
		{"lint", "golangci-lint, both modules", c.lint},
		{"unit", "unit tests, both modules", c.unit},
		{"e2e", "end-to-end tests in the lab", c.e2e},
	}
}

// checkout is the directory of go.work, which the phases take their modules from.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the checkout: no go.work here or above; run this in a checkout of the repository")
		}
		dir = filepath.Dir(dir)
	}
}

func (c *checks) modules() []string { return []string{c.root, filepath.Join(c.root, "lab")} }

func (c *checks) setup(ctx context.Context) error {
	if err := engine.Packages(ctx, detail, "git", "openssh-client", "shellcheck", "mmdebstrap", "runc", "jq", "curl", "nodejs"); err != nil {
		return err
	}
	return engine.Ensure(ctx, c.root, detail)
}

func (c *checks) vet(ctx context.Context) error {
	return c.inModules(ctx, "go", "vet", "./...")
}

// build proves that the product's go.mod is complete: within the workspace the
// lab's requirements would fill the gaps.
func (c *checks) build(ctx context.Context) error {
	return c.command(ctx, c.root, []string{"GOWORK=off"}, "go", "build", "./...")
}

func (c *checks) lint(ctx context.Context) error {
	linter, err := toolchain.Ensure(ctx, c.root, toolchain.GolangciLint, detail)
	if err != nil {
		return err
	}
	return c.inModules(ctx, linter, "run", "--config", filepath.Join(c.root, ".golangci.yml"), "./...")
}

func (c *checks) unit(ctx context.Context) error {
	if err := c.test(ctx, c.root, "./..."); err != nil {
		return err
	}
	lab := filepath.Join(c.root, "lab")
	out, err := output(ctx, lab, "go", "list", "./...")
	if err != nil {
		return err
	}
	var packages []string
	for _, name := range strings.Fields(out) {
		if !strings.HasSuffix(name, "/lab/e2e") {
			packages = append(packages, name)
		}
	}
	// Building images and running the workflows take minutes each on an idle
	// machine, and this one may be busy.
	return c.test(ctx, lab, append([]string{"-timeout=40m"}, packages...)...)
}

// e2e never takes go's cached result: what it tests is also the machine's doing.
func (c *checks) e2e(ctx context.Context) error {
	return c.test(ctx, filepath.Join(c.root, "lab"), "-count=1", "-timeout=40m", "-v", "./e2e")
}

func (c *checks) inModules(ctx context.Context, name string, args ...string) error {
	for _, module := range c.modules() {
		if err := c.command(ctx, module, nil, name, args...); err != nil {
			return err
		}
	}
	return nil
}

func detail(format string, args ...any) { fmt.Printf("    "+format+"\n", args...) }
