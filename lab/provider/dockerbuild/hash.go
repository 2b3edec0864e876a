package dockerbuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
)

// contextHash is a digest of all local files that the build may read, with the
// plugin's own algorithm: a stack that was built elsewhere shows no change here.
// It covers names, modes and contents, and for a symbolic link what it points
// at. Remote contexts do not contribute.
func contextHash(dir string, args *imageArgs) (string, error) {
	location := ""
	if args.Context.Location != "" { // else it is unknown yet
		location = within(dir, args.Context.Location)
	}
	dockerfile := within(dir, args.dockerfile())
	if args.dockerfile() == "" {
		// The plugin then looks for a plain .dockerignore where it runs.
		dockerfile += string(filepath.Separator)
	}
	sum := sha256.New()

	var excludes []string
	if isDir(location) || isFile(dockerfile) {
		var err error
		if excludes, err = ignorePatterns(dockerfile, location); err != nil {
			return "", err
		}
	}
	if isFile(dockerfile) {
		// It may itself be ignored, and counts nevertheless.
		content, err := os.ReadFile(dockerfile)
		if err != nil {
			return "", fmt.Errorf("reading the Dockerfile: %w", err)
		}
		sum.Write(content)
	}
	named := args.named()
	directories := []string{location}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		directories = append(directories, within(dir, named[name]))
	}
	for _, directory := range directories {
		if !isDir(directory) {
			continue
		}
		if err := hashDirectory(sum, directory, excludes); err != nil {
			return "", fmt.Errorf("reading build context %s: %w", directory, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func hashDirectory(sum hash.Hash, directory string, excludes []string) error {
	files, err := fsutil.NewFS(directory)
	if err != nil {
		return err
	}
	// The walk that BuildKit itself sends the context by.
	files, err = fsutil.NewFilterFS(files, &fsutil.FilterOpt{ExcludePatterns: excludes})
	if err != nil {
		return err
	}
	return files.Walk(context.Background(), "/", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return hashFile(sum, files, name, info.Mode())
	})
}

func hashFile(sum hash.Hash, files fsutil.FS, name string, mode fs.FileMode) error {
	if !mode.IsRegular() && mode.Type() != fs.ModeSymlink {
		return nil
	}
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(sum, file); errors.Is(err, syscall.EISDIR) {
		return nil // a link to a directory
	} else if err != nil {
		return err
	}
	sum.Write([]byte(filepath.ToSlash(path.Clean(name))))
	sum.Write([]byte(mode.String()))
	return nil
}

// ignorePatterns reads the file that says what of the context is left out: the
// one that belongs to the Dockerfile, or else the context's own.
func ignorePatterns(dockerfile, location string) ([]string, error) {
	candidates := []string{dockerfile + ".dockerignore"}
	if isDir(location) {
		candidates = append(candidates, filepath.Join(location, ".dockerignore"))
	}
	for _, candidate := range candidates {
		file, err := os.Open(candidate)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading what the build ignores: %w", err)
		}
		defer file.Close()
		patterns, err := ignorefile.ReadAll(file)
		if err != nil {
			return nil, fmt.Errorf("reading what the build ignores: %s: %w", candidate, err)
		}
		return patterns, nil
	}
	return nil, nil
}
