package simulation

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	realdisk "github.com/clawft/infra/host/disk"
)

// node is a file or a directory.
type node struct {
	directory bool
	// content is a file's, durable what would be there after a power cut.
	content, durable []byte
	// entries are a directory's, and changes what was done to them since the last sync, in order.
	entries map[string]*node
	changes []change
	synced  map[string]*node
}

// change is one of a directory's entries; nil removes it.
type change map[string]*node

func newDirectory() *node {
	return &node{directory: true, entries: map[string]*node{}, synced: map[string]*node{}}
}

func (n *node) change(c change) {
	apply(n.entries, c)
	n.changes = append(n.changes, c)
}

func apply(entries map[string]*node, c change) {
	for name, to := range c {
		if to == nil {
			delete(entries, name)
		} else {
			entries[name] = to
		}
	}
}

// disk is a file system that forgets what was not synced, and one in memory below /run.
type disk struct {
	world *World
	root  *node
	full  bool
	locks map[string]*Process
	// version grows with each change.
	version int
}

func newDisk(w *World) *disk {
	d := &disk{world: w, locks: map[string]*Process{}}
	d.root = newDirectory()
	at := d.root
	for _, name := range []string{"var", "lib"} {
		next := newDirectory()
		at.entries[name], at.synced[name] = next, next
		at = next
	}
	d.reset()
	return d
}

// reset empties what is in memory.
func (d *disk) reset() {
	run := newDirectory()
	d.root.entries["run"], d.root.synced["run"] = run, run
	clawft := newDirectory()
	run.entries["clawft"], run.synced["clawft"] = clawft, clawft
}

// find returns what is at a path, seen as view says.
func (d *disk) find(name string, view view) *node {
	at := d.root
	for _, part := range strings.Split(strings.TrimPrefix(name, "/"), "/") {
		if at == nil || !at.directory {
			return nil
		}
		at = view(at)[part]
	}
	return at
}

// view is how a directory is seen.
type view func(*node) map[string]*node

func now(n *node) map[string]*node    { return n.entries }
func synced(n *node) map[string]*node { return n.synced }

func (d *disk) parent(name string) *node { return d.find(path.Dir(name), now) }

func volatile(name string) bool { return strings.HasPrefix(name, "/run/") }

// cut is a power cut: of each directory's changes, a first part has happened, and of files that
// were not synced some of the content.
func (d *disk) cut() {
	d.reset()
	d.locks = map[string]*Process{}
	d.full = false
	d.cutNode(d.root)
	d.version++
}

func (d *disk) cutNode(n *node) {
	if !n.directory {
		if string(n.content) != string(n.durable) {
			n.content = d.torn(n)
		}
		n.durable = n.content
		return
	}
	n.entries = maps.Clone(n.synced)
	for _, c := range n.changes[:d.world.random.IntN(len(n.changes)+1)] {
		apply(n.entries, c)
	}
	n.synced, n.changes = maps.Clone(n.entries), nil
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		d.cutNode(n.entries[name])
	}
}

// torn is what may be left of a file.
func (d *disk) torn(n *node) []byte {
	switch d.world.random.IntN(3) {
	case 0:
		return n.durable
	case 1:
		return n.content[:d.world.random.IntN(len(n.content)+1)]
	}
	return n.content
}

func (d *disk) freeLocks(p *Process) {
	maps.DeleteFunc(d.locks, func(_ string, by *Process) bool { return by == p })
}

// changed says that the invariants of the disk are to be looked at.
func (d *disk) changed(name string) {
	if !volatile(name) {
		d.version++
	}
}

// makeParent makes the directory that a lock is in.
func (d *disk) makeParent(name string) {
	above := path.Dir(name)
	if d.find(above, now) == nil {
		d.makeParent(above)
		d.parent(above).change(change{path.Base(above): newDirectory()})
	}
}

// diskPort is a process's way to the disk.
type diskPort struct {
	*Process
	disk *disk
}

var _ realdisk.System = diskPort{}

func failed(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

func (d diskPort) ReadFile(name string) (content []byte, err error) {
	err = d.do("read "+name, false, func() error {
		n := d.disk.find(name, now)
		switch {
		case n == nil:
			return failed("open", name, syscall.ENOENT)
		case n.directory:
			return failed("read", name, syscall.EISDIR)
		}
		content = slices.Clone(n.content)
		return nil
	})
	return content, err
}

func (d diskPort) ReadDir(name string) (names []string, err error) {
	err = d.do("list "+name, false, func() error {
		n := d.disk.find(name, now)
		switch {
		case n == nil:
			return failed("open", name, syscall.ENOENT)
		case !n.directory:
			return failed("readdirent", name, syscall.ENOTDIR)
		}
		names = slices.Sorted(maps.Keys(n.entries))
		return nil
	})
	return names, err
}

func (d diskPort) WriteFile(name string, content []byte, _ fs.FileMode) error {
	content = slices.Clone(content)
	return d.do("write "+name, true, func() error {
		d.disk.changed(name)
		parent := d.disk.parent(name)
		if parent == nil {
			return failed("open", name, syscall.ENOENT)
		}
		n := parent.entries[path.Base(name)]
		if n == nil {
			n = &node{}
			parent.change(change{path.Base(name): n})
		}
		if d.disk.full && !volatile(name) {
			n.content = content[:len(content)/2]
			return failed("write", name, syscall.ENOSPC)
		}
		n.content = content
		return nil
	})
}

func (d diskPort) Mkdir(name string, _ fs.FileMode, _ realdisk.Identity) error {
	return d.do("mkdir "+name, true, func() error {
		d.disk.changed(name)
		parent := d.disk.parent(name)
		switch {
		case parent == nil:
			return failed("mkdir", name, syscall.ENOENT)
		case parent.entries[path.Base(name)] != nil:
			return failed("mkdir", name, syscall.EEXIST)
		case d.disk.full && !volatile(name):
			return failed("mkdir", name, syscall.ENOSPC)
		}
		parent.change(change{path.Base(name): newDirectory()})
		return nil
	})
}

func (d diskPort) Rename(from, to string) error {
	return d.do("rename "+to, true, func() error {
		d.disk.changed(from)
		n := d.disk.find(from, now)
		if n == nil {
			return failed("rename", from, syscall.ENOENT)
		}
		if path.Dir(from) != path.Dir(to) {
			return errors.New("the simulated disk renames within a directory only")
		}
		d.disk.parent(to).change(change{path.Base(from): nil, path.Base(to): n})
		return nil
	})
}

func (d diskPort) Remove(name string) error {
	return d.do("unlink "+name, true, func() error {
		d.disk.changed(name)
		n := d.disk.find(name, now)
		switch {
		case n == nil:
			return failed("remove", name, syscall.ENOENT)
		case n.directory && len(n.entries) > 0:
			return failed("remove", name, syscall.ENOTEMPTY)
		}
		d.disk.parent(name).change(change{path.Base(name): nil})
		return nil
	})
}

func (d diskPort) Sync(name string) error {
	return d.do("sync "+name, true, func() error {
		d.disk.changed(name)
		n := d.disk.find(name, now)
		if n == nil {
			return failed("open", name, syscall.ENOENT)
		}
		if n.directory {
			n.synced, n.changes = maps.Clone(n.entries), nil
		} else {
			n.durable = n.content
		}
		return nil
	})
}

func (d diskPort) TryLock(name string) (func(), error) {
	err := d.do("open "+name, false, func() error {
		d.disk.makeParent(name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = d.do("lock "+name, true, func() error {
		if d.disk.locks[name] != nil {
			return realdisk.ErrLocked
		}
		d.disk.locks[name] = d.Process
		return nil
	})
	if err != nil {
		return nil, err
	}
	return func() {
		_ = d.do("unlock "+name, true, func() error {
			if d.disk.locks[name] == d.Process {
				delete(d.disk.locks, name)
			}
			return nil
		})
	}, nil
}
