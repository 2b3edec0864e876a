package cloudinit

import (
	"strings"
	"testing"
)

// The end of the first boot is known from what cloud-init and systemd write, in versions old and new;
// what never starts is not waited for.
func TestFirstBoot(t *testing.T) {
	const (
		ended   = `{"v1": {"datasource": "DataSourceHetzner", "errors": []}}`
		running = "Id=cloud-init.service\nActiveState=active\nJob=\n\nId=cloud-final.service\nActiveState=activating\nJob=\n"
		waiting = "Id=cloud-init.service\nActiveState=inactive\nJob=77\n\nId=cloud-final.service\nActiveState=inactive\nJob=78\n"
		masked  = "Id=cloud-init.service\nActiveState=inactive\nJob=\n\nId=cloud-final.service\nActiveState=inactive\nJob=\n"
	)
	for _, c := range []struct {
		name           string
		result, status string
		// units is what systemd says of them, at first; load what it says of cloud-final.
		units, load string
		// later is what result.json holds after the first look.
		later string
		want  string
		says  []string
	}{
		{name: "done", result: ended, status: `{"v1": {"stage": null}}`, want: "done"},
		{name: "error of 22.4", result: `{"v1": {"errors": ["('scripts-user', RuntimeError())"]}}`, want: "error", says: []string{"status error", "scripts-user"}},
		{name: "error of 24.4", result: "{\n \"v1\": {\n  \"errors\": [\n   \"failed\"\n  ]\n }\n}", want: "error"},
		{name: "degraded", result: ended, status: `{"v1": {"init": {"recoverable_errors": {"WARNING": ["old key"]}}}}`, want: "degraded", says: []string{"status degraded"}},
		{name: "no warnings in 24.4", result: ended, status: `{"v1": {"init": {"recoverable_errors": {}}, "recoverable_errors": {}}}`, want: "done"},
		{name: "running", units: running, later: ended, want: "done", says: []string{"waiting for cloud-init, up to 15 minutes: cloud-final.service"}},
		{name: "waiting for its turn", units: waiting, later: ended, want: "done", says: []string{"cloud-final.service cloud-init.service"}},
		{name: "masked", units: masked, load: "masked", want: "not-run", says: []string{"not waiting for it"}},
		{name: "disabled", units: masked, load: "loaded", want: "not-run", says: []string{"not waiting for it"}},
		{name: "not installed", units: masked, load: "not-found", want: "none"},
		{name: "crashed", units: strings.Replace(masked, "inactive", "failed", 1), load: "loaded", want: "error", says: []string{"cloud-init.service failed"}},
		{name: "still running after its time", units: running, want: "", says: []string{"host is not ready: cloud-init is still running after 0 minutes: cloud-final.service"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := newTestHost(t)
			for name, content := range map[string]string{"result.json": c.result, "status.json": c.status} {
				if content != "" {
					host.write("/run/cloud-init/"+name, content, 0o600)
				}
			}
			host.write("/units", c.units, 0o600)
			host.write("/later", c.later, 0o600)
			host.write("/run/cloud-init/enabled", "", 0o600)
			host.command("systemctl", `case "$*" in *LoadState*) echo `+c.load+` ;; *) cat `+host.path("/units")+` ;; esac
				[ ! -s `+host.path("/later")+` ] || cp `+host.path("/later")+` `+host.path("/run/cloud-init/result.json"))
			script := strings.ReplaceAll(strings.ReplaceAll(readinessScript, "/run/cloud-init", host.path("/run/cloud-init")), "main </dev/null\n", "")
			if c.want == "" {
				script = strings.ReplaceAll(script, "PATIENCE=900", "PATIENCE=0")
			}
			output, err := host.runs("bash", "-c", script+"wait_for_cloud_init; echo first boot: $FIRST_BOOT")
			if (err != nil) != (c.want == "") {
				t.Errorf("%v\n%s", err, output)
			}
			if c.want != "" && !strings.HasSuffix(output, "first boot: "+c.want+"\n") {
				t.Errorf("got %q, want %s", output, c.want)
			}
			for _, want := range c.says {
				if !strings.Contains(output, want) {
					t.Errorf("it does not say %q:\n%s", want, output)
				}
			}
			if c.says == nil && strings.Count(output, "\n") > 1 && !strings.HasPrefix(c.name, "error") {
				t.Errorf("it says\n%s", output)
			}
		})
	}
}
