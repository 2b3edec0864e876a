package prepare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/document"
	"github.com/clawft/infra/host/policy"
	"github.com/clawft/infra/host/release"
)

const (
	// library has the program, in a directory for each of its sources.
	library = "/usr/local/lib/clawft"
	// command is what people and units call.
	command = "/usr/local/bin/clawft-host"
	// state has a directory for each gateway.
	state = "/var/lib/clawft"
	// run has what is gone after a reboot.
	run = "/run/clawft"
	// settings has the policy.
	settings = "/etc/clawft"
)

// Host is a machine to make ready.
type Host struct {
	// Root is where its files are: / but in tests.
	Root string
	// Say reports progress and warnings.
	Say func(string)
	// Engine is the machine's.
	Engine interface {
		Ping(ctx context.Context) (deploy.EngineInfo, error)
	}
	// List asks systemd about units; one that does not exist has the load state not-found.
	List func(ctx context.Context, units []string) ([]Unit, error)
	// Reload has systemd read its files anew.
	Reload func(ctx context.Context) error
	// Surroundings lists what is in the way of a gateway that has its data in a directory, or will have.
	Surroundings func(ctx context.Context, data string) []string
	// Gateways are those on the machine.
	Gateways func() ([]Gateway, error)
	// Units are the unit files.
	Units []File
	// Program is where this program lies, below the library.
	Program string
	// Front has the proxy run as its program and unit are now, and says what that took. It looks at what runs.
	Front func(ctx context.Context) (string, error)
	// Filter puts the packet filter into place, and tells whether it was not.
	Filter func(ctx context.Context) (bool, error)

	// Clock and Pause are for tests: the time, and how long a pause of a second is.
	Clock func() time.Time
	Pause time.Duration

	changes []string
}

// Gateway is one that the machine runs.
type Gateway struct {
	Owner release.Owner
	// Data is the directory of its data.
	Data string
}

// Facts are what was found and done.
type Facts struct {
	OS        string `json:"os"`
	FirstBoot string `json:"firstBoot"`
	Engine    string `json:"engine"`
	// Changed lists what was changed; empty for a machine that was ready.
	Changed []string `json:"changed"`
}

// Text is one line for people.
func (f Facts) Text() string {
	what := "nothing to change"
	if len(f.Changed) > 0 {
		what = "changed " + strings.Join(f.Changed, ", ")
	}
	return fmt.Sprintf("ready (%s, Docker %s, cloud-init %s): %s", f.OS, f.Engine, f.FirstBoot, what)
}

// Prepare makes the machine ready.
func (h *Host) Prepare(ctx context.Context, wanted document.Machine) (Facts, error) {
	facts := Facts{}
	if err := errors.Join(wanted.Owner.Validate(), wanted.Policy.Check()); err != nil {
		return facts, err
	}
	if err := h.checkSystem(); err != nil {
		return facts, err
	}
	data, err := h.checkOwner(wanted.Owner)
	if err := errors.Join(err, h.checkForeign()); err != nil {
		return facts, err
	}
	system := h.osRelease()
	facts.OS = system["ID"] + "-" + system["VERSION_ID"]
	unlock, err := h.lock(ctx)
	if err != nil {
		return facts, err
	}
	defer unlock()
	boot := firstBoot{directory: h.path("/run/cloud-init"), list: h.List, say: h.Say, patience: firstBootPatience, pause: h.pause()}
	if facts.FirstBoot, err = boot.wait(ctx); err != nil {
		return facts, err
	}
	if err := h.ensureEngine(ctx); err != nil {
		return facts, err
	}
	if found := h.Surroundings(ctx, data); len(found) > 0 {
		return facts, fmt.Errorf("this machine cannot run the gateway:\n  %s", strings.Join(found, "\n  "))
	}
	if info, err := h.Engine.Ping(ctx); err == nil {
		facts.Engine = info.Version
	}
	if err := h.install(ctx, wanted); err != nil {
		return facts, err
	}
	facts.Changed = h.changes
	return facts, nil
}

func (h *Host) ensureEngine(ctx context.Context) error {
	p := &packages{root: h.Root, say: h.Say, patience: packagesPatience, pause: 5 * h.pause()}
	if err := h.refuseImpostors(ctx, p); err != nil {
		return err
	}
	installed, err := p.install(ctx, func() []string { return h.missing(ctx) })
	if err != nil {
		return err
	}
	for _, name := range installed {
		h.changed("package " + name)
	}
	return h.startEngine(ctx)
}

// install puts everything into place, the program that units call before the units.
func (h *Host) install(ctx context.Context, wanted document.Machine) error {
	if err := h.reserve(ctx); err != nil {
		return err
	}
	for _, path := range []string{settings, state} {
		if err := h.directory(path); err != nil {
			return err
		}
	}
	demands, err := wanted.Policy.Encode()
	if err != nil {
		return err
	}
	if err := h.put(File{Path: policy.Path, Mode: 0o644, Content: demands}); err != nil {
		return err
	}
	before, _ := os.Readlink(h.path(command))
	if err := h.link(command, h.Program); err != nil {
		return err
	}
	for _, unit := range h.Units {
		if err := h.put(unit); err != nil {
			return err
		}
	}
	// Also for units that an earlier run has put into place, and then was cut short.
	if err := h.Reload(ctx); err != nil {
		return fmt.Errorf("having systemd read the units: %w", err)
	}
	if filtered, err := h.Filter(ctx); err != nil {
		return err
	} else if filtered {
		h.changed("packet filter")
	}
	did, err := h.Front(ctx)
	if err != nil {
		return err
	}
	if did != "" {
		h.changed(did)
	}
	h.forget(before)
	return nil
}

// forget removes programs that nothing will start any more: all but this one and the one before it.
func (h *Host) forget(before string) {
	entries, err := os.ReadDir(h.path(library))
	if err != nil {
		return
	}
	for _, entry := range entries {
		directory := filepath.Join(library, entry.Name())
		if directory != filepath.Dir(h.Program) && directory != filepath.Dir(before) && isSource(entry.Name()) {
			_ = os.RemoveAll(h.path(directory))
		}
	}
}

// isSource tells whether a name is that of a source, under which a program is delivered.
func isSource(name string) bool {
	return len(name) == 16 && strings.Trim(name, "0123456789abcdef") == ""
}

// checkOwner stops at a machine that runs somebody else's gateway. It returns where the owner's has its data, or
// will have.
func (h *Host) checkOwner(owner release.Owner) (string, error) {
	gateways, err := h.Gateways()
	if err != nil {
		return "", err
	}
	data := filepath.Join(h.path(state), owner.Gateway, "data")
	mine := append([]string{owner.Key()}, owner.Takes...)
	for _, has := range gateways {
		if !slices.Contains(mine, has.Owner.Key()) {
			return "", refusal(has.Owner, owner)
		}
		data = has.Data
	}
	return data, nil
}

// refusal says whose a machine is, and what to do about it.
func refusal(has, wants release.Owner) error {
	text := fmt.Sprintf("this machine runs %s, and is not for %s", has, wants)
	if has.ID == wants.ID {
		text += fmt.Sprintf("\nif %s is the new name of %s, say so in clawft:hosts, at %[1]s:\n  was: %[2]s", wants.Gateway, has.Gateway)
	}
	text += fmt.Sprintf("\nto take the machine over, with the gateway's data, say so in clawft:hosts, at %s:\n  takeOver: %s", wants.Gateway, has.Key())
	return errors.New(text)
}

// checkForeign stops at what is somebody else's where we put something.
func (h *Host) checkForeign() error {
	var found []string
	for _, unit := range append(slices.Clone(h.Units), File{Path: policy.Path}) {
		if problem := h.foreign(unit); problem != "" {
			found = append(found, problem)
		}
	}
	for _, unit := range h.Units {
		for _, directory := range []string{"/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"} {
			path := filepath.Join(directory, filepath.Base(unit.Path))
			if _, err := os.Lstat(h.path(path)); err == nil {
				found = append(found, path+" is not ours")
			}
		}
	}
	found = append(found, h.foreignLink()...)
	found = append(found, h.foreignEntries(library, isSource)...)
	found = append(found, h.foreignEntries(state, release.ValidGateway)...)
	found = append(found, h.foreignEntries(settings, func(name string) bool { return name == filepath.Base(policy.Path) })...)
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%s\nit would be overwritten: move it out of the way, or use another machine", strings.Join(found, "\n"))
}

func (h *Host) foreignLink() []string {
	info, err := os.Lstat(h.path(command))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if target, err := os.Readlink(h.path(command)); err == nil && strings.HasPrefix(target, library+"/") {
			return nil
		}
	}
	return []string{command + " is not ours"}
}

// foreignEntries are those of a directory of ours that have no name that we would give.
func (h *Host) foreignEntries(directory string, ours func(string) bool) []string {
	info, err := os.Lstat(h.path(directory))
	if err != nil {
		return nil
	}
	// A link to a larger disk is somebody's intention; one of these is not.
	if directory != state && info.Mode()&fs.ModeSymlink != 0 {
		return []string{directory + " is not ours"}
	}
	entries, err := os.ReadDir(h.path(directory))
	if err != nil {
		return []string{fmt.Sprintf("%s cannot be read: %v", directory, err)}
	}
	var found []string
	for _, entry := range entries {
		if !ours(entry.Name()) && entry.Name() != "lost+found" && !strings.HasPrefix(entry.Name(), ".clawft.") {
			found = append(found, fmt.Sprintf("%s is not ours: there is %s", directory, filepath.Join(directory, entry.Name())))
		}
	}
	return found
}

// lock waits for others that make the machine ready.
func (h *Host) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(h.path(run), 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", run, err)
	}
	file, err := os.OpenFile(h.path(run+"/prepare.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the machine: %w", err)
	}
	said := false
	for deadline := time.Now().Add(packagesPatience); ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if time.Now().After(deadline) {
			file.Close()
			return nil, fmt.Errorf("another run that makes this machine ready was still at work after %d minutes", int(packagesPatience.Minutes()))
		}
		if !said {
			h.Say(fmt.Sprintf("another run makes this machine ready: waiting for it, up to %d minutes", int(packagesPatience.Minutes())))
			said = true
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-time.After(h.pause()):
		}
	}
}

func (h *Host) changed(what string) { h.changes = append(h.changes, what) }

func (h *Host) now() time.Time {
	if h.Clock != nil {
		return h.Clock()
	}
	return time.Now()
}

func (h *Host) pause() time.Duration {
	if h.Pause > 0 {
		return h.Pause
	}
	return time.Second
}
