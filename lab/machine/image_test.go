package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInterruptedBuild stops a build of the image at a moment when file
// systems are mounted in its tree: nothing of it may stay, least of all
// something that the next build takes for a finished image.
func TestInterruptedBuild(t *testing.T) {
	root := t.TempDir()
	m, err := New(Options{Root: root, Network: testNetwork})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		// dpkg is there once the packages are being unpacked.
		for ctx.Err() == nil {
			if found, _ := filepath.Glob(m.cache + "/machine-build-*/mmdebstrap.*/usr/bin/dpkg"); len(found) > 0 {
				cancel()
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	err = m.buildTarball(ctx, m.cache+"/machine-test.tar", func(string) {})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want a cancelled build", err)
	}
	left, err := os.ReadDir(m.cache)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("left in the cache: %v", left)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), root) {
		t.Errorf("still mounted below %s:\n%s", root, mounts)
	}
}
