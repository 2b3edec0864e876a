package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/clawft/infra/lab/flock"
)

// Hub holds repositories in a directory, as OWNER/NAME.git and OWNER/NAME.json.
type Hub struct {
	dir string
	mu  sync.Mutex
}

// record is what GitHub knows of a repository beyond git.
type record struct {
	ID            int                     `json:"id"`
	DefaultBranch string                  `json:"defaultBranch"`
	Private       bool                    `json:"private,omitempty"` // of an owner who pays nothing
	LastID        int                     `json:"lastId"`
	Rulesets      map[int]*ruleset        `json:"rulesets"`
	Environments  map[string]*environment `json:"environments"`
	Variables     map[string]*variable    `json:"variables"`
}

type ruleset struct {
	Name   string         `json:"name"`
	Inputs map[string]any `json:"inputs"` // as the provider got them
}

type environment struct {
	Inputs   map[string]any     `json:"inputs"`
	Policies map[int]*policy    `json:"policies"`
	Secrets  map[string]*secret `json:"secrets"`
}

// policy is a pattern of branches or tags that may deploy.
type policy struct {
	Branch string `json:"branch,omitempty"`
	Tag    string `json:"tag,omitempty"`
}

// secret is what GitHub tells of one.
type secret struct {
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

type variable struct {
	Value     string    `json:"value"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// firstID is like GitHub's: a number that nobody takes for an index.
const firstID = 700000

func newRecord() *record {
	return &record{Rulesets: map[int]*ruleset{}, Environments: map[string]*environment{}, Variables: map[string]*variable{}}
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// Open opens the hub in dir, which need not exist yet.
func Open(dir string) (*Hub, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("locating the lab's GitHub: %w", err)
	}
	if err := os.MkdirAll(absolute, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory of the lab's GitHub: %w", err)
	}
	return &Hub{dir: absolute}, nil
}

// GitDir is where a repository can be cloned from.
func (h *Hub) GitDir(owner, name string) string {
	return filepath.Join(h.dir, owner, name+".git")
}

func (h *Hub) recordPath(owner, name string) string {
	return filepath.Join(h.dir, owner, name+".json")
}

// CreateRepository makes a repository with one commit, as GitHub does when asked
// for a README. It leaves one that exists as it is.
func (h *Hub) CreateRepository(owner, name, defaultBranch string) error {
	if !namePattern.MatchString(owner) || !namePattern.MatchString(name) {
		return fmt.Errorf("creating repository %s/%s: an owner and a name have letters, digits, '.', '-' and '_'", owner, name)
	}
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	path := h.recordPath(owner, name)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("creating repository %s/%s: %w", owner, name, err)
	}
	// The record is written last: without one, the repository does not exist.
	if err := initialize(gitDir(h.GitDir(owner, name)), defaultBranch, "# "+name+"\n"); err != nil {
		return fmt.Errorf("creating repository %s/%s: %w", owner, name, err)
	}
	r := newRecord()
	r.ID, r.LastID, r.DefaultBranch = firstID, firstID, defaultBranch
	return save(path, r)
}

// MakePrivate has a repository be private, of an owner with the free plan.
func (h *Hub) MakePrivate(owner, name string) error {
	return h.change(owner, name, func(r *record) error {
		r.Private = true
		return nil
	})
}

// view calls read with what is recorded of a repository.
func (h *Hub) view(owner, name string, read func(*record) error) error {
	return h.transact(owner, name, false, read)
}

// change calls change with it, and keeps what it did unless it returns an error.
func (h *Hub) change(owner, name string, change func(*record) error) error {
	return h.transact(owner, name, true, change)
}

func (h *Hub) transact(owner, name string, write bool, do func(*record) error) error {
	unlock, err := h.lock()
	if err != nil {
		return err
	}
	defer unlock()
	path := h.recordPath(owner, name)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return notFound("GET", owner, name, "")
	}
	if err != nil {
		return fmt.Errorf("reading the record of %s/%s: %w", owner, name, err)
	}
	r := newRecord()
	if err := json.Unmarshal(content, r); err != nil {
		return fmt.Errorf("reading the record of %s/%s in %s: %w", owner, name, path, err)
	}
	if err := do(r); err != nil || !write {
		return err
	}
	return save(path, r)
}

// lock keeps other providers out, of this process and of others.
func (h *Hub) lock() (unlock func(), err error) {
	h.mu.Lock()
	lock, err := flock.Wait(context.Background(), filepath.Join(h.dir, ".lock"))
	if err != nil {
		h.mu.Unlock()
		return nil, fmt.Errorf("locking the lab's GitHub: %w", err)
	}
	return func() {
		lock.Release()
		h.mu.Unlock()
	}, nil
}

// save replaces the file as a whole: a killed process leaves the old or the new one.
func save(path string, r *record) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	next := path + ".next"
	if err := os.WriteFile(next, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func (r *record) nextID() int {
	r.LastID++
	return r.LastID
}
