package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// started starts the fake server for a checkout, and ends it with the test.
func started(t *testing.T, root string) daemon {
	t.Helper()
	d, err := daemonOf(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if pid := d.running(); pid != 0 {
			process, err := os.FindProcess(pid)
			if err == nil {
				err = process.Kill()
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	if err := d.start(t.Context(), new(said).progress); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStopEndsWhatTheLabStarted(t *testing.T) {
	dir := fakes(t, map[string]string{"docker": client, "dockerd": server})
	root := t.TempDir()
	d := started(t, root)
	if d.running() == 0 {
		t.Fatal("the engine that was started is not recognized")
	}
	var told said
	if err := Stop(t.Context(), root, told.progress); err != nil {
		t.Fatal(err)
	}
	if d.running() != 0 || exists(filepath.Join(dir, "answers")) || exists(d.dir) {
		t.Error("the engine or its files are still there")
	}
	mustContain(t, "progress", told.String(), "stopped the Docker engine")
}

func TestStopLeavesAnEngineWithContainers(t *testing.T) {
	dir := fakes(t, map[string]string{"docker": client, "dockerd": server})
	write(t, dir, "containers", "database\ncache\n")
	root := t.TempDir()
	d := started(t, root)
	var told said
	if err := Stop(t.Context(), root, told.progress); err != nil {
		t.Fatal(err)
	}
	if d.running() == 0 {
		t.Error("the engine was ended under the user's containers")
	}
	mustContain(t, "progress", told.String(), "database, cache", "kill ")
}

func TestStopLeavesTheEngineOfAnotherCheckout(t *testing.T) {
	fakes(t, map[string]string{"docker": client, "dockerd": server})
	d := started(t, t.TempDir())
	var told said
	if err := Stop(t.Context(), t.TempDir(), told.progress); err != nil {
		t.Fatal(err)
	}
	if d.running() == 0 || len(told) > 0 {
		t.Errorf("the engine of another checkout was touched: %q", told)
	}
}

// As after a lab that was killed while its engine started.
func TestStartTakesUpAnEngineThatRuns(t *testing.T) {
	dir := fakes(t, map[string]string{"docker": client, "dockerd": server})
	root := t.TempDir()
	d := started(t, root)
	if err := d.start(t.Context(), new(said).progress); err != nil {
		t.Fatal(err)
	}
	starts, err := os.ReadFile(filepath.Join(dir, "starts"))
	if err != nil || strings.Count(string(starts), "\n") != 1 {
		t.Errorf("engines were started with %q (%v), want a single one", starts, err)
	}
}

func TestStartTellsWhyTheEngineEnded(t *testing.T) {
	fakes(t, map[string]string{"docker": client, "dockerd": `echo "Devices cgroup isn't mounted" >&2; exit 1`})
	d, err := daemonOf(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = d.start(t.Context(), new(said).progress)
	if err == nil {
		t.Fatal("no error")
	}
	mustContain(t, "the error", err.Error(), "it ended", "Devices cgroup isn't mounted")
}
