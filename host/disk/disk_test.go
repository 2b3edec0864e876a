package disk

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var real = Disk{OS{}}

// limited is a system of which calls fail.
type limited struct {
	OS
	fails map[string]error
	calls []string
}

func (l *limited) call(name string) error {
	l.calls = append(l.calls, name)
	return l.fails[name]
}

func (l *limited) WriteFile(path string, content []byte, mode fs.FileMode) error {
	if err := l.call("write"); err != nil {
		_ = l.OS.WriteFile(path, content[:len(content)/2], mode)
		return err
	}
	return l.OS.WriteFile(path, content, mode)
}

func (l *limited) Sync(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return l.call("sync directory")
	}
	return l.call("sync file")
}

func (l *limited) Rename(from, to string) error {
	if err := l.call("rename"); err != nil {
		return err
	}
	return l.OS.Rename(from, to)
}

func (l *limited) Remove(path string) error {
	if err := l.call("remove"); err != nil {
		return err
	}
	return l.OS.Remove(path)
}

func (l *limited) ReadDir(path string) ([]string, error) {
	if err := l.call("list"); err != nil {
		return nil, err
	}
	return l.OS.ReadDir(path)
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	got, err := real.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestReplace(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "file"), "old")
	l := &limited{}
	if err := (Disk{l}).Replace(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "new" {
		t.Errorf("it contains %q", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, error %v", info.Mode(), err)
	}
	// The content before the name, and the name before the end.
	if want := []string{"write", "sync file", "rename", "sync directory"}; !slices.Equal(l.calls, want) {
		t.Errorf("it is done by %v, want %v", l.calls, want)
	}
}

func TestReplaceThatFails(t *testing.T) {
	for _, call := range []string{"write", "sync file", "rename", "sync directory"} {
		t.Run(call, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "file"), "old")
			err := Disk{&limited{fails: map[string]error{call: syscall.ENOSPC}}}.Replace(path, []byte("new"), 0o600)
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), filepath.Dir(path)) {
				t.Errorf("the error is %v", err)
			}
			if got := content(t, path); got != "old" && got != "new" {
				t.Errorf("it contains %q", got)
			}
		})
	}
}

// What could not be written whole takes no room on a disk that is full.
func TestWhatFailsIsNotLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, do := range map[string]func(Disk) error{
		"Replace": func(d Disk) error { return d.Replace(path, []byte("new"), 0o600) },
		"Put":     func(d Disk) error { return d.Put(path, []byte("new"), 0o600) },
	} {
		if err := do(Disk{&limited{fails: map[string]error{"write": syscall.ENOSPC}}}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: the error is %v", name, err)
		}
		if _, err := os.Lstat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s leaves half a file: %v", name, err)
		}
	}
}

func TestPut(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "file"), "old")
	l := &limited{}
	if err := (Disk{l}).Put(path, []byte("new"), 0o644); err != nil || content(t, path) != "new" {
		t.Errorf("it contains %q, error %v", content(t, path), err)
	}
	if want := []string{"write", "rename"}; !slices.Equal(l.calls, want) {
		t.Errorf("it is done by %v, want %v", l.calls, want)
	}
	if err := (Disk{&limited{fails: map[string]error{"rename": syscall.EIO}}}).Put(path, nil, 0o644); !errors.Is(err, syscall.EIO) {
		t.Errorf("the error is %v", err)
	}
}

func TestWritingDoesNotFollowALink(t *testing.T) {
	directory := t.TempDir()
	victim := write(t, filepath.Join(directory, "victim"), "theirs")
	if err := os.Symlink(victim, filepath.Join(directory, "file.new")); err != nil {
		t.Fatal(err)
	}
	if err := real.Replace(filepath.Join(directory, "file"), []byte("ours"), 0o600); err == nil {
		t.Error("it is written through a link")
	}
	if got := content(t, victim); got != "theirs" {
		t.Errorf("what the link leads to contains %q", got)
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, err := real.Read(path); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "reading "+path) {
		t.Errorf("the error is %v", err)
	}
}

func TestList(t *testing.T) {
	directory := t.TempDir()
	write(t, filepath.Join(directory, "b"), "")
	write(t, filepath.Join(directory, "a"), "")
	if got, err := real.List(directory); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("it is %v, error %v", got, err)
	}
	if got, err := real.List(filepath.Join(directory, "none")); err != nil || len(got) > 0 {
		t.Errorf("what is not there has %v, error %v", got, err)
	}
	if _, err := real.List(filepath.Join(directory, "a")); err == nil {
		t.Error("a file is listed")
	}
}

func TestMakeDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "c")
	l := &limited{}
	owner := Identity{os.Getuid(), os.Getgid()}
	if err := (Disk{l}).MakeDir(path, 0o770, owner); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o770 {
		t.Errorf("its mode is %v, error %v", info.Mode(), err)
	}
	if above, err := os.Stat(filepath.Dir(path)); err != nil || above.Mode().Perm() != 0o755 {
		t.Errorf("the mode above it is %v, error %v", above.Mode(), err)
	}
	// One for each that was made.
	if want := []string{"sync directory", "sync directory", "sync directory"}; !slices.Equal(l.calls, want) {
		t.Errorf("what is made durable is %v, want %v", l.calls, want)
	}
	write(t, filepath.Join(path, "kept"), "")
	if err := real.MakeDir(path, 0o700, owner); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if again, err := os.Stat(path); err != nil || again.Mode().Perm() != 0o770 {
		t.Errorf("one that is there has got the mode %v, error %v", again.Mode(), err)
	}
}

func TestMakeDirThatFails(t *testing.T) {
	directory := t.TempDir()
	file := write(t, filepath.Join(directory, "file"), "")
	for _, path := range []string{filepath.Join(file, "a"), filepath.Join(file, "a", "b")} {
		if err := real.MakeDir(path, 0o700, Identity{}); err == nil {
			t.Errorf("%s was made", path)
		}
	}
	if err := (Disk{&limited{fails: map[string]error{"sync directory": syscall.EIO}}}).MakeDir(filepath.Join(directory, "new"), 0o700, Identity{os.Getuid(), os.Getgid()}); !errors.Is(err, syscall.EIO) {
		t.Errorf("the error is %v", err)
	}
	if err := (Disk{&limited{fails: map[string]error{"sync directory": syscall.EIO}}}).MakeDir(filepath.Join(directory, "x", "y"), 0o700, Identity{}); !errors.Is(err, syscall.EIO) {
		t.Errorf("the error is %v", err)
	}
}

// A directory that another process has not finished is not in the way, and is not taken for one.
func TestMkdirAfterAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(path+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (OS{}).Mkdir(path, 0o750, Identity{os.Getuid(), os.Getgid()}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("its mode is %v, error %v", info.Mode(), err)
	}
	write(t, filepath.Join(path+".new"), "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(filepath.Dir(path), "full.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(path), "full.new", "file"), "")
	if err := (OS{}).Mkdir(filepath.Join(filepath.Dir(path), "full"), 0o700, Identity{}); err == nil {
		t.Error("something that is not ours is removed")
	}
}

func TestMkdirForNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := (OS{}).Mkdir(path, 0o700, Identity{-2, -2}); os.Getuid() != 0 && err == nil {
		t.Error("it is given away without the right to")
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a directory is left: %v", err)
	}
}

func TestRemoveAll(t *testing.T) {
	directory := t.TempDir()
	outside := filepath.Join(t.TempDir())
	kept := write(t, filepath.Join(outside, "kept"), "kept")
	tree := filepath.Join(directory, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(tree, "a", "file"), "")
	if err := os.Symlink(outside, filepath.Join(tree, "link")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := real.RemoveAll(tree); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(tree); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	if content(t, kept) != "kept" {
		t.Error("what a link leads to is gone")
	}
	if err := real.RemoveAll(write(t, filepath.Join(directory, "file"), "")); err != nil {
		t.Errorf("a file: %v", err)
	}
}

func TestRemoveAllThatFails(t *testing.T) {
	tree := t.TempDir()
	write(t, filepath.Join(tree, "file"), "")
	for _, fails := range []map[string]error{{"remove": syscall.EIO}, {"remove": syscall.EIO, "list": syscall.EIO}} {
		if err := (Disk{&limited{fails: fails}}).RemoveAll(tree); !errors.Is(err, syscall.EIO) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "lock")
	unlock, err := real.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := real.TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("it is taken twice: %v", err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("it takes too long"))
	defer cancel()
	if _, err := real.Lock(ctx, path); err == nil || !strings.Contains(err.Error(), "it takes too long") {
		t.Errorf("the error is %v", err)
	}
	time.AfterFunc(20*time.Millisecond, unlock)
	unlock, err = real.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := real.TryLock(filepath.Join(path, "x")); err == nil {
		t.Error("a lock is below a file")
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if _, err := real.TryLock(path + ".link"); err == nil {
		t.Error("a link is taken for a lock")
	}
}
