package bases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/clawft/infra/lab/flock"
)

// work is what the directories of unfinished images begin with.
const work = "make-"

// hub is what a build would pull from.
const hub = "https://registry-1.docker.io/v2/"

// NamedContexts returns the build contexts that replace the base images, by the
// name that the Dockerfile uses: none where Docker Hub answers, and else the
// stand-ins, made on first use and kept under cache. That takes about three
// minutes on two cores; progress is told each step.
func NamedContexts(ctx context.Context, cache string, progress func(string)) (map[string]string, error) {
	return contexts(ctx, cache, stands, progress)
}

// Emulated returns the contexts that replace the base images of a build that
// runs on the foreign architecture. The kernel must have an emulator registered
// for it. They take about five minutes on first use.
func Emulated(ctx context.Context, cache string, progress func(string)) (map[string]string, error) {
	return contexts(ctx, cache, emulated, progress)
}

// contexts makes the images of a list that is put together for this machine.
func contexts(ctx context.Context, cache string, list func(native, foreign string, trusted []byte) []base, progress func(string)) (map[string]string, error) {
	if answers(ctx, hub) {
		return nil, nil
	}
	foreign, ok := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("making base images on %s: want a machine of amd64 or arm64", runtime.GOARCH)
	}
	trusted, err := os.ReadFile(authorities)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the machine's certificate authorities: %w", err)
	}
	return ensure(ctx, cache, list(runtime.GOARCH, foreign, trusted), progress)
}

// answers tells whether a registry is there. It demands no particular answer: a
// registry wants a token first.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized
}

// ensure makes the images that the cache lacks.
func ensure(ctx context.Context, cache string, wanted []base, progress func(string)) (map[string]string, error) {
	dir, err := filepath.Abs(filepath.Join(cache, "bases"))
	if err != nil {
		return nil, fmt.Errorf("resolving the cache's directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache's directory: %w", err)
	}
	// Two processes of a checkout would make the same image.
	lock, err := flock.Wait(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("locking the base images: %w", err)
	}
	defer lock.Release()

	contexts := map[string]string{}
	for _, b := range wanted {
		layout := filepath.Join(dir, b.name())
		digest, err := layoutDigest(layout)
		if errors.Is(err, os.ErrNotExist) {
			digest, err = b.make(ctx, layout, progress)
		}
		if err != nil {
			return nil, fmt.Errorf("making a stand-in for %s: %w", b.ref, err)
		}
		contexts[b.ref] = "oci-layout://" + layout + "@" + digest
		if err := b.dropOthers(dir); err != nil {
			return nil, err
		}
	}
	return contexts, nil
}

// make leaves either the whole layout or none.
func (b base) make(ctx context.Context, layout string, progress func(string)) (string, error) {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return "", fmt.Errorf("mmdebstrap is not installed; run: apt-get install %s", strings.Join(Packages(), " "))
	}
	dir, err := os.MkdirTemp(filepath.Dir(layout), work)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	var images []platformImage
	for _, t := range b.trees {
		progress(fmt.Sprintf("Docker Hub is out of reach: making %s for %s from Debian's packages (once)", b.ref, t.arch))
		tarball := filepath.Join(dir, t.arch+".tar")
		if err := t.make(ctx, dir, tarball); err != nil {
			return "", err
		}
		image, err := b.image(t, tarball)
		if err != nil {
			return "", err
		}
		images = append(images, platformImage{t.arch, image})
	}
	partial := filepath.Join(dir, "layout")
	if err := writeLayout(partial, images); err != nil {
		return "", err
	}
	if err := os.Rename(partial, layout); err != nil {
		return "", err
	}
	return layoutDigest(layout)
}

// make runs mmdebstrap in namespaces of its own: however it ends, its children
// end and its mounts are gone.
func (t tree) make(ctx context.Context, dir, tarball string) error {
	args := append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap"}, t.args...)
	command := exec.CommandContext(ctx, "unshare", append(args, suite, tarball)...)
	command.Env = append(os.Environ(), "TMPDIR="+dir)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	command.WaitDelay = 5 * time.Second
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		return fmt.Errorf("running mmdebstrap for %s: %w; the end of its log:\n%s", t.arch, err,
			strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
	return nil
}

// dropOthers removes the base's layouts of earlier recipes and, under the lock,
// what a killed run left.
func (b base) dropOthers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("listing base images: %w", err)
	}
	for _, entry := range entries {
		stale := strings.HasPrefix(entry.Name(), b.stem()) && entry.Name() != b.name()
		if !stale && !strings.HasPrefix(entry.Name(), work) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("removing an old base image: %w", err)
		}
	}
	return nil
}
