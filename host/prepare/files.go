package prepare

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Mark is in the first lines of every text that is put on a host, except for documents: what lacks it is
// somebody else's.
const Mark = "Managed by clawft-infra"

// File is one that is put on a host.
type File struct {
	// Path is absolute.
	Path string
	Mode fs.FileMode
	// Content has the mark, if Marked.
	Content []byte
	Marked  bool
}

// foreign says whose a file is, if not ours; "" where none is in the way.
func (h *Host) foreign(file File) string {
	path := h.path(file.Path)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		return fmt.Sprintf("%s cannot be looked at: %v", file.Path, err)
	case !info.Mode().IsRegular():
		return file.Path + " is not ours"
	case !file.Marked:
		return ""
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("%s cannot be read: %v", file.Path, err)
	}
	if !marked(content) {
		return file.Path + " is not ours"
	}
	return ""
}

func marked(content []byte) bool {
	lines := strings.SplitN(string(content), "\n", 4)
	return strings.Contains(strings.Join(lines[:min(len(lines), 3)], "\n"), Mark)
}

// put puts a file into place, in one step, if it differs.
func (h *Host) put(file File) error {
	path := h.path(file.Path)
	if before, err := os.ReadFile(path); err == nil && bytes.Equal(before, file.Content) {
		if info, err := os.Lstat(path); err == nil && info.Mode() == file.Mode {
			return nil
		}
	}
	beside, err := os.CreateTemp(filepath.Dir(path), ".clawft.")
	if err != nil {
		return fmt.Errorf("writing %s: %w", file.Path, err)
	}
	defer os.Remove(beside.Name())
	_, err = beside.Write(file.Content)
	err = errors.Join(err, beside.Chmod(file.Mode), beside.Sync(), beside.Close())
	if err == nil {
		err = os.Rename(beside.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", file.Path, err)
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing %s: %w", file.Path, err)
	}
	h.changed(file.Path)
	return nil
}

// link makes a symbolic link, in one step.
func (h *Host) link(path, target string) error {
	if now, err := os.Readlink(h.path(path)); err == nil && now == target {
		return nil
	}
	beside := h.path(path) + ".new"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("linking %s: %w", path, err)
	}
	if err := errors.Join(os.Symlink(target, beside), os.Rename(beside, h.path(path)), syncDirectory(h.path(filepath.Dir(path)))); err != nil {
		return fmt.Errorf("linking %s: %w", path, err)
	}
	h.changed(path)
	return nil
}

// directory makes a directory of root's that all may enter; one that is there keeps its content. One that is a
// link stays one.
func (h *Host) directory(path string) error {
	place := h.path(path)
	info, err := os.Stat(place)
	if err == nil && info.IsDir() && info.Mode().Perm() == 0o755 {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid == 0 && owner.Gid == 0 {
			return nil
		}
	}
	if err := errors.Join(os.MkdirAll(place, 0o755), os.Chown(place, 0, 0), os.Chmod(place, 0o755)); err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	h.changed(path)
	return nil
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
