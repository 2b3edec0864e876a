package main

import (
	"bytes"
	"context"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"strings"
)

// format compares every Go file with what gofmt would make of it.
func (c *checks) format(context.Context) error {
	tree := os.DirFS(c.root)
	var wrong []string
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := path != "." && strings.HasPrefix(entry.Name(), ".")
		if entry.IsDir() && hidden {
			return fs.SkipDir
		}
		if entry.IsDir() || hidden || !strings.HasSuffix(path, ".go") {
			return nil
		}
		source, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		formatted, err := format.Source(source)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !bytes.Equal(source, formatted) {
			wrong = append(wrong, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("these files are not formatted; run: gofmt -w %s", strings.Join(wrong, " "))
	}
	return nil
}
