package pipeline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	cloudinit "github.com/clawft/infra/cloud-init"
	"github.com/clawft/infra/components/workflows"
	"github.com/clawft/infra/config/gateway"
	"github.com/clawft/infra/internal/agent"
)

// embedded are the files that the program carries in itself, most of them to machines, by the directory of
// the checkout that they come from.
var embedded = map[string]fs.FS{
	"cloud-init":           cloudinit.Sources(),
	"components/workflows": workflows.Sources(),
	"internal/agent":       agent.Sources(),
	"config/gateway":       gateway.Sources(),
}

// checkLineEnds refuses a checkout with Windows' line ends: what goes to Linux from there would fail on
// machines that were ordered for it.
func (c *Config) checkLineEnds(ctx *pulumi.Context) error {
	var found []string
	for directory, files := range embedded {
		names, err := withCarriageReturn(files)
		if err != nil {
			return fmt.Errorf("reading the line ends of %s: %w", directory, err)
		}
		for _, name := range names {
			found = append(found, path.Join(directory, name))
		}
	}
	dockerfile := cmp.Or(c.Image.Dockerfile, "Dockerfile")
	others := map[string]string{}
	for _, name := range []string{dockerfile, dockerfile + ".dockerignore"} {
		others[name] = inProject(ctx.RootDirectory(), name)
	}
	if err := addCarried(ctx.RootDirectory(), others); err != nil {
		return err
	}
	for name, path := range others {
		content, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the line ends of %s: %w", name, err)
		}
		if bytes.ContainsRune(content, '\r') {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return wrongLineEnds(found)
}

// addCarried adds the files that the program of hosts will carry, which is compiled from the checkout later.
func addCarried(project string, files map[string]string) error {
	root, err := agent.Root(project)
	if err != nil {
		return err
	}
	carried, err := agent.Embedded(root)
	if err != nil {
		return err
	}
	for _, name := range carried {
		files[name] = filepath.Join(root, filepath.FromSlash(name))
	}
	return nil
}

// wrongLineEnds is nil if no file was found.
func wrongLineEnds(files []string) error {
	if len(files) == 0 {
		return nil
	}
	more := ""
	if len(files) > 1 {
		more = fmt.Sprintf(" and %d other files", len(files)-1)
	}
	return fmt.Errorf("reading the checkout: %s%s that go to Linux have Windows' line ends (\\r\\n), and \\n is right; nothing was changed. "+
		"Commit or stash your own changes, then: git rm -r -q --cached . && git reset -q --hard", files[0], more)
}

// withCarriageReturn lists the files that contain one.
func withCarriageReturn(files fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if bytes.ContainsRune(content, '\r') {
			found = append(found, name)
		}
		return err
	})
	return found, err
}
