package units

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/clawft/infra/host/deploy"
)

// Units are those of the host's systemd. Each call has a connection of its own, so that nothing depends on how
// long systemd or the bus run.
type Units struct {
	dial func(context.Context) (manager, error)
}

var _ deploy.Units = Units{}

// New returns the units of the machine that this runs on.
func New() Units { return Units{dial} }

// manager is the part of systemd that is used here.
type manager interface {
	Subscribe() error
	ReloadContext(ctx context.Context) error
	RestartUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	StartUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	StopUnitContext(ctx context.Context, name, mode string, ch chan<- string) (int, error)
	EnableUnitFilesContext(ctx context.Context, files []string, runtime, force bool) (bool, []dbus.EnableUnitFileChange, error)
	DisableUnitFilesContext(ctx context.Context, files []string, runtime bool) ([]dbus.DisableUnitFileChange, error)
	GetAllPropertiesContext(ctx context.Context, unit string) (map[string]any, error)
	Connected() bool
	Close()
}

// dial connects to systemd itself. It needs root, and no bus.
func dial(ctx context.Context) (manager, error) {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to systemd: %w", err)
	}
	return conn, nil
}

// Restart is part of [deploy.Units]. What is on disk is loaded before, if it is not.
func (u Units) Restart(ctx context.Context, unit string) error {
	return u.job(ctx, "restarting "+unit, unit, func(ctx context.Context, m manager, done chan<- string) (int, error) {
		return m.RestartUnitContext(ctx, unit, "replace", done)
	})
}

// Start starts a unit that does not run and waits for the end of the job, as Restart does. It does nothing with one that runs.
func (u Units) Start(ctx context.Context, unit string) error {
	return u.job(ctx, "starting "+unit, unit, func(ctx context.Context, m manager, done chan<- string) (int, error) {
		return m.StartUnitContext(ctx, unit, "replace", done)
	})
}

// Stop is part of [deploy.Units]. A unit that is not loaded is stopped.
func (u Units) Stop(ctx context.Context, unit string) error {
	state, err := u.State(ctx, unit)
	if err != nil {
		return fmt.Errorf("stopping %s: %w", unit, err)
	}
	// One that waits for its next start has no process, and is to be stopped all the same.
	if state.Active == "inactive" {
		return nil
	}
	return u.job(ctx, "stopping "+unit, unit, func(ctx context.Context, m manager, done chan<- string) (int, error) {
		return m.StopUnitContext(ctx, unit, "replace", done)
	})
}

// job has systemd do something and waits for the result.
func (u Units) job(ctx context.Context, doing, unit string, begin func(context.Context, manager, chan<- string) (int, error)) error {
	m, err := u.dial(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer m.Close()
	// Without it, systemd tells its jobs' ends to nobody on this connection.
	if err := m.Subscribe(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	properties, err := m.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if needsReload(properties) {
		if err := m.ReloadContext(ctx); err != nil {
			return fmt.Errorf("%s: having systemd read its files: %w", doing, err)
		}
	}
	done := make(chan string, 1)
	if _, err := begin(ctx, m, done); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	// A connection that ends, as when systemd is exchanged, tells nothing any more.
	alive := time.NewTicker(time.Second)
	defer alive.Stop()
	for {
		select {
		case result := <-done:
			return u.ended(ctx, doing, unit, result)
		case <-alive.C:
			if !m.Connected() {
				return fmt.Errorf("%s: the connection to systemd is lost", doing)
			}
		case <-ctx.Done():
			return fmt.Errorf("%s: the job is not done: %w", doing, context.Cause(ctx))
		}
	}
}

// ended makes an error of a job's result, with what is known of the unit.
func (u Units) ended(ctx context.Context, doing, unit, result string) error {
	switch result {
	// Skipped is a unit that is what it is to be.
	case "done", "skipped":
		return nil
	case "canceled":
		return fmt.Errorf("%s: somebody else has started or stopped it meanwhile", doing)
	}
	state, err := u.State(ctx, unit)
	if err != nil {
		return fmt.Errorf("%s: the job ended with %s", doing, result)
	}
	return fmt.Errorf("%s: the job ended with %s; the unit is %s (%s), its result %s; see: journalctl -u %s", doing, result, state.Active, state.Sub, state.Result, unit)
}

// Enable is part of [deploy.Units].
func (u Units) Enable(ctx context.Context, unit string) error {
	return u.files(ctx, "enabling "+unit, func(m manager) error {
		_, _, err := m.EnableUnitFilesContext(ctx, []string{unit}, false, false)
		return err
	})
}

// Disable is part of [deploy.Units].
func (u Units) Disable(ctx context.Context, unit string) error {
	return u.files(ctx, "disabling "+unit, func(m manager) error {
		_, err := m.DisableUnitFilesContext(ctx, []string{unit}, false)
		return err
	})
}

// files changes what is started at boot. systemd has to be told to look.
func (u Units) files(ctx context.Context, doing string, change func(manager) error) error {
	m, err := u.dial(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer m.Close()
	if err := errors.Join(change(m), m.ReloadContext(ctx)); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// Reload has systemd read all of its files anew.
func (u Units) Reload(ctx context.Context) error {
	return u.files(ctx, "having systemd read its files", func(manager) error { return nil })
}

// State is part of [deploy.Units].
func (u Units) State(ctx context.Context, unit string) (deploy.UnitState, error) {
	m, err := u.dial(ctx)
	if err != nil {
		return deploy.UnitState{}, fmt.Errorf("asking for %s: %w", unit, err)
	}
	defer m.Close()
	p, err := m.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return deploy.UnitState{}, fmt.Errorf("asking for %s: %w", unit, err)
	}
	state := deploy.UnitState{
		Active: get[string](p, "ActiveState"), Sub: get[string](p, "SubState"), Result: get[string](p, "Result"),
		Restarts: int(get[uint32](p, "NRestarts")), NeedReload: needsReload(p), Enabled: get[string](p, "UnitFileState") == "enabled",
	}
	// Of a process that a signal has ended, the status is the signal's number.
	if get[int32](p, "ExecMainCode") == cldExited {
		state.ExitCode = int(get[int32](p, "ExecMainStatus"))
	}
	return state, nil
}

// cldExited is the kernel's CLD_EXITED: the process ended by itself.
const cldExited = 1

// needsReload tells whether systemd's unit is not that on disk. One that systemd has not loaded yet is read as it is.
func needsReload(properties map[string]any) bool { return get[bool](properties, "NeedDaemonReload") }

// get returns a property, or nothing if systemd has not got it.
func get[T any](properties map[string]any, name string) T {
	value, _ := properties[name].(T)
	return value
}

// Unit is what systemd says of a unit that may not be there.
type Unit struct {
	Name string
	// Load is LoadState: loaded, not-found, masked…
	Load string
	// Active is ActiveState.
	Active string
	// Job is true while a job waits or runs for it.
	Job bool
	// Path is the file that it was loaded from.
	Path string
	// Changed is since when it is in its state, by the monotonic clock, in microseconds.
	Changed uint64
}

// List asks for units by name.
func (u Units) List(ctx context.Context, names []string) ([]Unit, error) {
	m, err := u.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for units: %w", err)
	}
	defer m.Close()
	var all []Unit
	for _, name := range names {
		p, err := m.GetAllPropertiesContext(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("asking for %s: %w", name, err)
		}
		all = append(all, Unit{
			Name: name, Load: get[string](p, "LoadState"), Active: get[string](p, "ActiveState"), Job: hasJob(p),
			Path: get[string](p, "FragmentPath"), Changed: get[uint64](p, "StateChangeTimestampMonotonic"),
		})
	}
	return all, nil
}

// hasJob reads a job as D-Bus gives it: a number, 0 for none, and a path.
func hasJob(properties map[string]any) bool {
	job, _ := properties["Job"].([]any)
	if len(job) == 0 {
		return false
	}
	id, _ := job[0].(uint32)
	return id != 0
}
