package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/host/disk"
)

func TestDamagedDocuments(t *testing.T) {
	directory := t.TempDir()
	p := place{&Host{Disk: disk.Disk{System: disk.OS{}}, State: filepath.Join(directory, "state"), Volatile: filepath.Join(directory, "volatile")}, "gw"}
	for file, read := range map[string]func() error{
		p.recordFile():     func() error { _, err := p.record(); return err },
		p.releaseFile("x"): func() error { _, err := p.load("x"); return err },
		p.statusFile():     func() error { _, err := p.status(); return err },
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := read(); err == nil || !strings.Contains(err.Error(), "reading "+file) {
			t.Errorf("%s: the error is %v", file, err)
		}
	}
}

// What a failed release made of the data is undone, however many failed before anything ran again.
func TestFailedReleasesAreRemembered(t *testing.T) {
	record := Record{Current: "a"}
	for _, id := range []string{"b", "c", "b"} {
		record = record.swapped("d", id).back()
	}
	if record.Current != "a" || !slices.Equal(record.Failed, []string{"c", "b"}) || record.Generation != 6 {
		t.Errorf("it is %+v", record)
	}
	record = record.swapped("d", "e")
	if want := []string{"e", "a"}; !slices.Equal(record.releases(), want) {
		t.Errorf("it needs %v, want %v", record.releases(), want)
	}
	record = record.kept(record.Owner)
	if record.Current != "e" || record.Previous != "a" || record.Failed != nil || record.Pending != nil {
		t.Errorf("it is %+v", record)
	}
	if again := record.swapped("d", "e").kept(record.Owner); again.Previous != "a" {
		t.Errorf("the same release again is previous to itself: %+v", again)
	}
}
