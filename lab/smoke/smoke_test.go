package smoke

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/clawft/infra/gate/proof"
	"github.com/clawft/infra/internal/testregistry"
	"github.com/clawft/infra/lab/gateway/image"
)

const (
	version = "0.6.19"
	// healthTimeout is short, in seconds, so that the images that do not become
	// healthy fail soon.
	healthTimeout = 3
)

var platform = "linux/" + runtime.GOARCH

func TestSmoke(t *testing.T) {
	repository := testregistry.New(t)
	archives := map[string][]byte{}
	for _, fault := range []string{"", "exit-at-once", "never-healthy", "hang"} {
		archives[fault] = files(t, fault)
	}
	sound := func(*v1.Config) {}
	for _, test := range []struct {
		name, fault string
		change      func(*v1.Config)
		version     string
		platform    string
		want        []string // in the result
		problems    []string // in the error
	}{
		{name: "sound", change: sound, want: []string{
			platform + " healthy after ", "with version 0.6.19 as user 10001, stopped on SIGINT after ",
		}},
		{name: "exits at once", fault: "exit-at-once", change: sound, problems: []string{
			"the gateway exited with code 1", "its last log lines", "lab fault exit-at-once",
		}},
		{name: "never healthy", fault: "never-healthy", change: sound, problems: []string{
			"not healthy after 3s", "503", "lab fault never-healthy",
		}},
		{name: "does not answer", fault: "hang", change: sound, problems: []string{
			"not healthy after 3s", "lab fault hang",
		}},
		{name: "is another release", change: sound, version: "0.6.20", problems: []string{
			`reports version "0.6.19" instead of "0.6.20"`, "clawft:version",
		}},
		{name: "has no stop signal", change: func(c *v1.Config) { c.StopSignal = "" }, problems: []string{
			"does not stop on the image's STOPSIGNAL, SIGTERM", "killed after 15 s",
		}},
		{name: "runs as root, without a health check", change: func(c *v1.Config) { c.User, c.Healthcheck = "", nil }, problems: []string{
			`the image's USER is ""; want 10001`, "the image has no HEALTHCHECK",
		}},
		{name: "runs as a name", change: func(c *v1.Config) { c.User = "weft" }, problems: []string{
			`the image's USER is "weft"; want 10001`,
		}},
		{name: "is found unhealthy", change: func(c *v1.Config) {
			c.Env = append(c.Env, "PORT=9")
			c.Healthcheck.Interval, c.Healthcheck.StartPeriod, c.Healthcheck.Retries = time.Second, 0, 1
		}, problems: []string{
			"the gateway answers, but the image's HEALTHCHECK says unhealthy", "connection refused",
		}},
		{name: "is for another platform", change: sound, platform: "linux/riscv64", problems: []string{
			"the Docker engine here runs " + platform + ", and the image has only linux/riscv64", "clawft:image.smokeTest",
		}},
		{name: "holds another platform's program", change: func(c *v1.Config) { c.Entrypoint = []string{"/usr/local/bin/other"} }, problems: []string{
			"exec format error",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			smoke := proof.Smoke{
				Image:         proof.Image{Repository: repository, Digest: push(t, repository, archives[test.fault], test.platform, test.change)},
				Version:       version,
				HealthTimeout: healthTimeout,
			}
			if test.version != "" {
				smoke.Version = test.version
			}
			got, err := smoke.Run(t.Context())
			t.Log(got, err)
			switch {
			case test.problems == nil && err != nil:
				t.Fatal(err)
			case test.problems != nil && err == nil:
				t.Fatalf("the smoke test passed: %s", got)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("the result lacks %q: %s", want, got)
				}
			}
			for _, want := range test.problems {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
	t.Run("is interrupted", func(t *testing.T) {
		smoke := proof.Smoke{
			Image:         proof.Image{Repository: repository, Digest: push(t, repository, archives["never-healthy"], "", sound)},
			Version:       version,
			HealthTimeout: 60,
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if got, err := smoke.Run(ctx); err == nil {
			t.Errorf("the smoke test passed: %s", got)
		}
	})
	wantNothingLeft(t)
}

// push puts an image into the registry and returns its digest. Its config is
// that of the lab's gateway, changed; without a platform it is this machine's.
func push(t *testing.T, repository string, files []byte, of string, change func(*v1.Config)) string {
	t.Helper()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	built, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	about, err := built.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	about = about.DeepCopy()
	if of == "" {
		of = platform
	}
	os, architecture, _ := strings.Cut(of, "/")
	about.OS, about.Architecture = os, architecture
	// What lab/gateway/Dockerfile says.
	about.Config = v1.Config{
		User: "10001:10001", StopSignal: "SIGINT",
		Env:        []string{"PATH=/usr/local/bin", "HOME=/home/weft"},
		Entrypoint: []string{"/usr/local/bin/weft"},
		Healthcheck: &v1.HealthConfig{
			Test:     []string{"CMD", "/usr/local/bin/weft-health"},
			Interval: time.Second, Timeout: 5 * time.Second, StartPeriod: 15 * time.Second, Retries: 3,
		},
	}
	change(&about.Config)
	if built, err = mutate.ConfigFile(built, about); err != nil {
		t.Fatal(err)
	}
	return testregistry.Push(t, repository, version, testregistry.Index(map[string]v1.Image{of: built}))
}

// files are the files of an image of the lab's gateway, as a tar archive.
func files(t *testing.T, fault string) []byte {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := image.BuildContext(t.Context(), root, dir, version, fault, []string{platform}); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	add := func(header tar.Header, content []byte) {
		header.Size = int64(len(content))
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"weft", "weft-health"} {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(platform), program))
		if err != nil {
			t.Fatal(err)
		}
		add(tar.Header{Name: "usr/local/bin/" + program, Mode: 0o755}, content)
	}
	// The head of a program for a machine that is not this one.
	add(tar.Header{Name: "usr/local/bin/other", Mode: 0o755}, []byte("\x7fELF\x02\x01\x01 no program"))
	for _, dir := range []string{"home/weft/", "home/weft/.clawft/"} {
		add(tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755, Uid: 10001, Gid: 10001}, nil)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// wantNothingLeft demands that no smoke test has left anything in the engine.
func wantNothingLeft(t *testing.T) {
	t.Helper()
	for _, command := range [][]string{
		{"ps", "--all", "--quiet", "--filter", "label=clawft.gate=smoke"},
		{"images", "--quiet", "clawft-smoke"},
		{"volume", "ls", "--quiet", "--filter", "label=clawft.gate=smoke"},
	} {
		output, err := exec.Command("docker", command...).Output()
		if err != nil {
			t.Fatalf("docker %s: %v", strings.Join(command, " "), err)
		}
		if found := strings.TrimSpace(string(output)); found != "" {
			t.Errorf("docker %s finds %s", strings.Join(command, " "), found)
		}
	}
}
