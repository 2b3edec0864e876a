package units

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/clawft/infra/host/deploy"
)

// fake is a systemd that does as it is told.
type fake struct {
	properties map[string]any
	// result is a job's, "" for none; it comes after a second.
	result string
	refuse error
	gone   bool
	asked  []string
}

func (f *fake) units() Units { return Units{func(context.Context) (manager, error) { return f, nil }} }

func (f *fake) begin(what string, done chan<- string) (int, error) {
	f.asked = append(f.asked, what)
	if f.result != "" {
		time.AfterFunc(time.Second, func() { done <- f.result })
	}
	return 1, f.refuse
}

func (f *fake) Subscribe() error { f.asked = append(f.asked, "subscribe"); return nil }
func (f *fake) Connected() bool  { return !f.gone }
func (f *fake) Close()           {}
func (f *fake) ReloadContext(context.Context) error {
	f.asked = append(f.asked, "reload")
	return nil
}
func (f *fake) RestartUnitContext(_ context.Context, name, mode string, done chan<- string) (int, error) {
	return f.begin("restart "+name+" "+mode, done)
}
func (f *fake) StartUnitContext(_ context.Context, name, mode string, done chan<- string) (int, error) {
	return f.begin("start "+name+" "+mode, done)
}
func (f *fake) StopUnitContext(_ context.Context, name, mode string, done chan<- string) (int, error) {
	return f.begin("stop "+name+" "+mode, done)
}
func (f *fake) EnableUnitFilesContext(_ context.Context, files []string, _, _ bool) (bool, []dbus.EnableUnitFileChange, error) {
	f.asked = append(f.asked, "enable "+strings.Join(files, " "))
	return true, nil, f.refuse
}
func (f *fake) DisableUnitFilesContext(_ context.Context, files []string, _ bool) ([]dbus.DisableUnitFileChange, error) {
	f.asked = append(f.asked, "disable "+strings.Join(files, " "))
	return nil, f.refuse
}
func (f *fake) GetAllPropertiesContext(context.Context, string) (map[string]any, error) {
	return f.properties, nil
}

const unit = "clawft@gw-1.service"

func TestJobs(t *testing.T) {
	failed := map[string]any{"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}
	for _, test := range []struct {
		name  string
		fake  *fake
		want  string
		asked []string
	}{
		{"it is done", &fake{result: "done"}, "", []string{"subscribe", "restart " + unit + " replace"}},
		{"what is on disk is not loaded", &fake{result: "done", properties: map[string]any{"NeedDaemonReload": true}}, "", []string{"subscribe", "reload", "restart " + unit + " replace"}},
		{"it fails", &fake{result: "failed", properties: failed}, "restarting " + unit + ": the job ended with failed; the unit is activating (auto-restart), its result exit-code; see: journalctl -u " + unit, nil},
		{"it takes too long for systemd", &fake{result: "timeout", properties: failed}, "the job ended with timeout", nil},
		{"something that it needs fails", &fake{result: "dependency", properties: failed}, "the job ended with dependency", nil},
		{"somebody stops it", &fake{result: "canceled"}, "somebody else has started or stopped it meanwhile", nil},
		{"systemd refuses", &fake{refuse: errors.New("unit is masked")}, "restarting " + unit + ": unit is masked", nil},
		{"systemd goes away", &fake{gone: true}, "the connection to systemd is lost", nil},
		{"it takes too long", &fake{}, "the job is not done: context deadline exceeded", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := test.fake.units().Restart(ctx, unit)
				if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
					t.Errorf("got %v, want %s", err, test.want)
				}
				if test.asked != nil && !slices.Equal(test.fake.asked, test.asked) {
					t.Errorf("asked %q, want %q", test.fake.asked, test.asked)
				}
			})
		})
	}
}

func TestStop(t *testing.T) {
	for active, wants := range map[string]bool{"active": true, "activating": true, "failed": true, "deactivating": true, "inactive": false} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{result: "done", properties: map[string]any{"ActiveState": active}}
			if err := f.units().Stop(t.Context(), unit); err != nil {
				t.Fatal(err)
			}
			if asked := slices.Contains(f.asked, "stop "+unit+" replace"); asked != wants {
				t.Errorf("%s: asked %q", active, f.asked)
			}
		})
	}
}

func TestState(t *testing.T) {
	for _, test := range []struct {
		name       string
		properties map[string]any
		want       deploy.UnitState
	}{
		{"healthy", map[string]any{"ActiveState": "active", "SubState": "running", "Result": "success", "NRestarts": uint32(2), "UnitFileState": "enabled"},
			deploy.UnitState{Active: "active", Sub: "running", Result: "success", Restarts: 2, Enabled: true}},
		{"exited", map[string]any{"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code", "ExecMainCode": int32(1), "ExecMainStatus": int32(3), "UnitFileState": "disabled"},
			deploy.UnitState{Active: "activating", Sub: "auto-restart", Result: "exit-code", ExitCode: 3}},
		{"killed", map[string]any{"ActiveState": "failed", "SubState": "failed", "Result": "signal", "ExecMainCode": int32(2), "ExecMainStatus": int32(9), "NeedDaemonReload": true},
			deploy.UnitState{Active: "failed", Sub: "failed", Result: "signal", NeedReload: true}},
		{"not there", map[string]any{"ActiveState": "inactive", "SubState": "dead", "LoadState": "not-found"}, deploy.UnitState{Active: "inactive", Sub: "dead"}},
	} {
		if got, err := (&fake{properties: test.properties}).units().State(t.Context(), unit); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v\nwant %+v", test.name, got, err, test.want)
		}
	}
}

func TestFilesOfUnits(t *testing.T) {
	f := &fake{}
	if err := errors.Join(f.units().Enable(t.Context(), unit), f.units().Disable(t.Context(), unit), f.units().Reload(t.Context())); err != nil {
		t.Fatal(err)
	}
	if want := []string{"enable " + unit, "reload", "disable " + unit, "reload", "reload"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	f.refuse = errors.New("unit file is masked")
	if err := f.units().Enable(t.Context(), unit); err == nil || err.Error() != "enabling "+unit+": unit file is masked" {
		t.Errorf("got %v", err)
	}
}

func TestList(t *testing.T) {
	f := &fake{properties: map[string]any{"LoadState": "loaded", "ActiveState": "activating", "FragmentPath": "/x.service", "StateChangeTimestampMonotonic": uint64(5)}}
	for id, want := range map[uint32]bool{0: false, 7: true} {
		f.properties["Job"] = []any{id, fmt.Sprintf("/org/freedesktop/systemd1/job/%d", id)}
		got, err := f.units().List(t.Context(), []string{"x.service"})
		if err != nil || !slices.Equal(got, []Unit{{Name: "x.service", Load: "loaded", Active: "activating", Job: want, Path: "/x.service", Changed: 5}}) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

// What stands in the units is what the program's own limits need.
func TestFiles(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range Files() {
		text := string(file.Content)
		seen[file.Path] = true
		if !strings.HasPrefix(text, "# Managed by clawft-infra: changes are overwritten.\n[Unit]\n") || strings.Contains(text, "\r") {
			t.Errorf("%s does not say whose it is", file.Path)
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "Exec") && !strings.Contains(line, "/usr/local/bin/clawft-host ") {
				t.Errorf("%s: %s", file.Path, line)
			}
		}
	}
	for _, name := range []string{"clawft@.service", "clawft-deploy@.service"} {
		if !seen[Directory+"/"+name] {
			t.Errorf("%s is missing", name)
		}
	}
}
