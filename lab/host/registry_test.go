package host

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/clawft/infra/internal/testregistry"
)

// witness is the program in the images, and what launches it: a static one. -witness names one that is built.
var witness = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("CLAWFT_WITNESS"); path != "" {
		return path, nil
	}
	directory, err := os.MkdirTemp("", "clawft-witness-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(directory, "witness")
	build := exec.Command("go", "build", "-o", path, "./witness")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	// Others than root run it in containers.
	return path, os.Chmod(directory, 0o755)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := witness(); err == nil && os.Getenv("CLAWFT_WITNESS") == "" {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// registry is one on this machine, which engines take without TLS.
type registry struct {
	// repository is where the tests' images are.
	repository string
	// answer, if set, takes a request in the registry's place and returns true.
	answer atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	// pulled counts requests for blobs.
	pulled atomic.Int64
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{}
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if strings.Contains(request.URL.Path, "/blobs/") && request.Method == http.MethodGet {
			r.pulled.Add(1)
		}
		if answer := r.answer.Load(); answer != nil && (*answer)(w, request) {
			return
		}
		inner.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	r.repository = strings.TrimPrefix(server.URL, "http://") + "/clawft/clawft"
	return r
}

func (r *registry) answers(f func(http.ResponseWriter, *http.Request) bool) { r.answer.Store(&f) }

// demand has the registry take this login only.
func (r *registry) demand(user, password string) {
	r.answers(func(w http.ResponseWriter, request *http.Request) bool {
		if gotUser, gotPassword, _ := request.BasicAuth(); gotUser == user && gotPassword == password {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`) //nolint:errcheck // a test
		return true
	})
}

// image makes one with the witness as the gateway and a file that no other image has.
func image(t *testing.T, architecture, unique string) v1.Image {
	t.Helper()
	path, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	add := func(header tar.Header, content []byte) {
		header.Size = int64(len(content))
		if err := archive.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	for _, directory := range []string{"usr/", "usr/local/", "usr/local/bin/", "home/", "home/weft/", "home/weft/.clawft/", "etc/", "etc/clawft/", "run/", "run/clawft/", "opt/"} {
		add(tar.Header{Name: directory, Typeflag: tar.TypeDir, Mode: 0o777, Uid: 10001, Gid: 10001}, nil)
	}
	// A link, as package managers make them.
	add(tar.Header{Name: "opt/weft", Typeflag: tar.TypeReg, Mode: 0o755}, program)
	add(tar.Header{Name: "usr/local/bin/weft", Typeflag: tar.TypeSymlink, Linkname: "../../../opt/weft"}, nil)
	add(tar.Header{Name: "unique", Typeflag: tar.TypeReg, Mode: 0o644}, []byte(unique))
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	data := layer.Bytes()
	made, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, made)
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: architecture, RootFS: rootFS(t, image),
		Config: v1.Config{User: "0", StopSignal: "SIGTERM", Env: []string{"PATH=/usr/local/bin"}, Volumes: map[string]struct{}{"/home/weft/.clawft": {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func rootFS(t *testing.T, image v1.Image) v1.RootFS {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.RootFS
}

// push puts an image for the given architectures into the registry and returns its name by digest.
func (r *registry) push(t *testing.T, architectures ...string) string {
	t.Helper()
	images := map[string]v1.Image{}
	for _, architecture := range architectures {
		images["linux/"+architecture] = image(t, architecture, t.Name())
	}
	return r.repository + "@" + testregistry.Push(t, r.repository, "latest", testregistry.Index(images))
}

// copyTo gives an image a second home and returns its name there.
func (r *registry) copyTo(t *testing.T, image, repository string) string {
	t.Helper()
	from, err := name.NewDigest(image)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(from, remote.WithAuth(authn.Anonymous))
	if err != nil {
		t.Fatal(err)
	}
	return repository + "@" + testregistry.Push(t, repository, "latest", index)
}

const here = runtime.GOARCH
