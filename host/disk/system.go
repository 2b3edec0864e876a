package disk

import (
	"errors"
	"io/fs"
)

// ErrLocked says that another process has the lock.
var ErrLocked = errors.New("another process has it")

// Identity is the user and group that own a directory, as numbers. The zero value is root.
type Identity struct{ User, Group int }

// System is what is asked of the operating system. Nothing of it is durable before Sync.
// Errors are those of package os: fs.ErrNotExist and fs.ErrExist among them.
type System interface {
	ReadFile(path string) ([]byte, error)
	// ReadDir returns the names in a directory, sorted.
	ReadDir(path string) ([]string, error)
	// WriteFile makes a file of this content and mode, or overwrites it.
	WriteFile(path string, content []byte, mode fs.FileMode) error
	// Mkdir makes one directory with this mode and owner.
	Mkdir(path string, mode fs.FileMode, owner Identity) error
	// Rename replaces what has the new name, in one step.
	Rename(from, to string) error
	// Remove removes a file, a link or an empty directory.
	Remove(path string) error
	// Sync makes durable what a file contains, or which names a directory has.
	Sync(path string) error
	// TryLock makes the file of a lock, with its directory, and takes the lock, until unlock is called or this process
	// ends. It is an error of ErrLocked while another process, or this one, has it.
	TryLock(path string) (unlock func(), err error)
}
