package surroundings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// leastMiB and leastFiles are below what nothing is deployed.
	leastMiB   = 64
	leastFiles = 100
	// patience is how long the data are looked through; what is found later is no obstacle to anybody.
	patience = time.Minute
)

// dataProblems names what keeps a gateway from using its data. A directory that is not there is made later.
func dataProblems(ctx context.Context, data string) []string {
	info, err := os.Stat(data)
	if errors.Is(err, fs.ErrNotExist) {
		if target, err := os.Readlink(data); err == nil {
			return []string{fmt.Sprintf("%s leads to %s, which is not there: mount what holds the data, or remove the link", data, target)}
		}
		if data = filepath.Dir(data); data == "/" || data == "." {
			return nil
		}
		// What will hold it has to have room.
		return dataRoom(data)
	}
	if err != nil {
		return []string{fmt.Sprintf("%s cannot be looked at: %v", data, err)}
	}
	if !info.IsDir() {
		return []string{data + " is not a directory: move it away"}
	}
	if found := dataRoom(data); len(found) > 0 {
		return found
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if empty(data) {
		// It becomes the gateway's when the host is made ready.
		return nil
	}
	if path := unusable(ctx, data); path != "" {
		return []string{fmt.Sprintf("%s belongs to %s, so that the gateway's user %d cannot use it: chown -R %d:%d %s",
			path, belongs(path), ID, ID, ID, data)}
	}
	return nil
}

// dataRoom looks at the file system of a directory, or of the next one above that is there.
func dataRoom(directory string) []string {
	var system unix.Statfs_t
	err := unix.Statfs(directory, &system)
	if errors.Is(err, fs.ErrNotExist) && directory != "/" {
		return dataRoom(filepath.Dir(directory))
	}
	if err != nil {
		return []string{fmt.Sprintf("the file system of %s cannot be looked at: %v", directory, err)}
	}
	return room(directory, system)
}

func room(directory string, system unix.Statfs_t) []string {
	if system.Flags&unix.ST_RDONLY != 0 {
		return []string{fmt.Sprintf("%s is on a file system that is read-only: mount it writable", directory)}
	}
	var found []string
	if free := system.Bavail * uint64(system.Bsize) >> 20; free < leastMiB {
		found = append(found, fmt.Sprintf("the file system of %s has %d MiB left: free some, %d MiB at least", directory, free, leastMiB))
	}
	// Some count no files, and have none in all.
	if system.Files > 0 && system.Ffree < leastFiles {
		found = append(found, fmt.Sprintf("the file system of %s has room for %d files: remove some", directory, system.Ffree))
	}
	return found
}

func empty(directory string) bool {
	entries, err := os.ReadDir(directory)
	for _, entry := range entries {
		if entry.Name() != "lost+found" {
			return false
		}
	}
	return err == nil
}

func belongs(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return "somebody else"
	}
	owner := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d, mode %o", owner.Uid, owner.Gid, info.Mode().Perm())
}

// unusable returns the first file that the gateway's user cannot use, "" without one. A file may well be
// read-only; a directory is not.
//
// The kernel answers, with all that it knows (lists, mounts): a thread of its own becomes that user and asks.
func unusable(ctx context.Context, data string) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := make(chan string, 1)
	go func() {
		// It is never unlocked: the thread ends with the goroutine, and nobody else becomes this user.
		runtime.LockOSThread()
		answer <- walk(ctx, data)
	}()
	return <-answer
}

func walk(ctx context.Context, data string) string {
	// What is above the data, the container does not see. The thread has a working directory of its own from here on.
	if unix.Unshare(unix.CLONE_FS) != nil || unix.Chdir(data) != nil || !becomeGateway() {
		return ""
	}
	found := ""
	_ = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return fs.SkipAll
		case err != nil:
			return nil //nolint:nilerr // it went away meanwhile; what cannot be read was found before
		case entry.Name() == "lost+found":
			return fs.SkipDir
		}
		wanted := uint32(unix.R_OK)
		switch {
		case entry.IsDir():
			wanted = unix.R_OK | unix.W_OK | unix.X_OK
		case !entry.Type().IsRegular():
			return nil
		}
		if errors.Is(unix.Faccessat2(unix.AT_FDCWD, path, wanted, unix.AT_EACCESS), unix.EACCES) {
			found = filepath.Join(data, path)
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// becomeGateway makes the calling thread alone ask for files as the gateway's user: as setfsuid(2) has it,
// that takes root's privileges about files as well.
func becomeGateway() bool {
	if _, _, failed := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); failed != 0 {
		return false
	}
	return unix.Setfsgid(ID) == nil && unix.Setfsuid(ID) == nil
}
