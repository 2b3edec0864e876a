package prepare

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The end of the first boot is known from what cloud-init and systemd write, in versions old and new; what
// never starts is not waited for.
func TestFirstBoot(t *testing.T) {
	const ended = `{"v1": {"datasource": "DataSourceHetzner", "errors": []}}`
	at := func(active, load string, job bool) []Unit {
		return []Unit{{"cloud-init.service", load, "inactive", false}, {"cloud-final.service", load, active, job}}
	}
	waiting := []Unit{{"cloud-init.service", "loaded", "inactive", true}, {"cloud-final.service", "loaded", "inactive", true}}
	for _, c := range []struct {
		name           string
		result, status string
		// units are there at first.
		units []Unit
		// later is what result.json holds after the first look.
		later string
		want  string
		says  []string
	}{
		{name: "done", result: ended, status: `{"v1": {"stage": null}}`, want: "done"},
		{name: "error of 22.4", result: `{"v1": {"errors": ["('scripts-user', RuntimeError())"]}}`, want: "error", says: []string{"status error", "scripts-user"}},
		{name: "error of 24.4", result: "{\n \"v1\": {\n  \"errors\": [\n   \"failed\"\n  ]\n }\n}", want: "error", says: []string{"failed"}},
		{name: "a result that is cut short", result: `{"v1": {`, want: "error", says: []string{"status error"}},
		{name: "degraded", result: ended, status: `{"v1": {"init": {"recoverable_errors": {"WARNING": ["old key"]}}}}`, want: "degraded", says: []string{"status degraded"}},
		{name: "no warnings in 24.4", result: ended, status: `{"v1": {"init": {"recoverable_errors": {}}, "recoverable_errors": {}}}`, want: "done"},
		{name: "running", units: at("activating", "loaded", false), later: ended, want: "done", says: []string{"waiting for cloud-init, up to 15 minutes: cloud-final.service"}},
		{name: "waiting for its turn", units: waiting, later: ended, want: "done", says: []string{"cloud-final.service cloud-init.service"}},
		{name: "masked", units: at("inactive", "masked", false), want: "not-run", says: []string{"not waiting for it"}},
		{name: "disabled", units: at("inactive", "loaded", false), want: "not-run", says: []string{"not waiting for it"}},
		{name: "not installed", units: at("inactive", "not-found", false), want: "none"},
		{name: "crashed", units: at("failed", "loaded", false), want: "error", says: []string{"cloud-final.service failed"}},
		{name: "still running after its time", units: at("activating", "loaded", false), want: "", says: []string{"cloud-init is still running after 0 minutes: cloud-final.service"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			directory := t.TempDir()
			write := func(name, content string) {
				if content == "" {
					return
				}
				if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("result.json", c.result)
			write("status.json", c.status)
			var said []string
			boot := firstBoot{
				directory: directory, patience: firstBootPatience, pause: time.Millisecond,
				say: func(line string) { said = append(said, line) },
				list: func(context.Context, []string) ([]Unit, error) {
					write("result.json", c.later)
					return c.units, nil
				},
			}
			if c.want == "" {
				boot.patience = 0
			}
			got, err := boot.wait(t.Context())
			if err != nil {
				said = append(said, err.Error())
			}
			if got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
			for _, want := range c.says {
				if !strings.Contains(strings.Join(said, "\n"), want) {
					t.Errorf("it does not say %q: %q", want, said)
				}
			}
			if c.says == nil && len(said) > 0 {
				t.Errorf("it says %q", said)
			}
		})
	}
}
