package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module = "github.com/clawft/infra"
	// program is the import path's part below the module.
	program = "host"
)

// Architectures are those of hosts, as Go calls them.
var Architectures = []string{"amd64", "arm64"}

// Root finds the module's directory, at or above a directory of a checkout.
func Root(directory string) (string, error) {
	given, err := filepath.Abs(directory)
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for directory := given; ; directory = filepath.Dir(directory) {
		text, err := os.ReadFile(filepath.Join(directory, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte("module "+module)) {
			return directory, nil
		}
		if directory == filepath.Dir(directory) {
			return "", fmt.Errorf("finding the checkout of %s, whose program runs on hosts: %s is not in one", module, given)
		}
	}
}

// Source is the hash of what the program is made of in a checkout: the files of its packages that are this
// module's, and go.mod and go.sum, which name those that are not. Line ends do not count. It has 16
// hexadecimal digits.
func Source(root string) (string, error) {
	files, err := Files(root)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return "", fmt.Errorf("hashing the program of hosts: %w", err)
		}
		content = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
		fmt.Fprintf(sum, "%s %x\n", name, sha256.Sum256(content))
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// Files are the files that Source hashes, sorted, with slashes, relative to the root.
func Files(root string) ([]string, error) {
	files, err := list(root)
	return slices.Sorted(maps.Keys(files)), err
}

// Embedded are those of the files that the program carries to hosts as they are.
func Embedded(root string) ([]string, error) {
	files, err := list(root)
	maps.DeleteFunc(files, func(_ string, carried bool) bool { return !carried })
	return slices.Sorted(maps.Keys(files)), err
}

// list has the files, and of each whether it is embedded.
func list(root string) (map[string]bool, error) {
	files := map[string]bool{"go.mod": false, "go.sum": false}
	for _, architecture := range Architectures {
		context := build.Default
		context.GOOS, context.GOARCH, context.CgoEnabled = "linux", architecture, false
		context.BuildTags, context.ToolTags = nil, nil
		if err := collect(&context, root, program, files, map[string]bool{}); err != nil {
			return nil, fmt.Errorf("listing what the program of hosts is made of: %w", err)
		}
	}
	return files, nil
}

// collect adds the files of a package, and of those of this module that it imports.
func collect(context *build.Context, root, directory string, files, seen map[string]bool) error {
	if seen[directory] {
		return nil
	}
	seen[directory] = true
	found, err := context.ImportDir(filepath.Join(root, filepath.FromSlash(directory)), 0)
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(found.GoFiles, found.SFiles, found.HFiles, found.SysoFiles) {
		files[path.Join(directory, name)] = false
	}
	for _, pattern := range found.EmbedPatterns {
		names, err := embedded(os.DirFS(found.Dir), pattern)
		if err != nil {
			return fmt.Errorf("%s: //go:embed %s: %w", directory, pattern, err)
		}
		for _, name := range names {
			files[path.Join(directory, name)] = true
		}
	}
	for _, imported := range found.Imports {
		if inside, ok := strings.CutPrefix(imported, module+"/"); ok {
			if err := collect(context, root, inside, files, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// embedded lists the files that a pattern of //go:embed names.
func embedded(files fs.FS, pattern string) ([]string, error) {
	pattern, all := strings.CutPrefix(pattern, "all:")
	matches, err := fs.Glob(files, pattern)
	if err != nil || len(matches) == 0 {
		return nil, errors.Join(err, errors.New("nothing matches"))
	}
	var names []string
	for _, match := range matches {
		err := fs.WalkDir(files, match, func(name string, entry fs.DirEntry, err error) error {
			hidden := !all && name != match && strings.ContainsAny(path.Base(name)[:1], "._")
			switch {
			case err != nil:
				return err
			case hidden && entry.IsDir():
				return fs.SkipDir
			case !hidden && !entry.IsDir():
				names = append(names, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
