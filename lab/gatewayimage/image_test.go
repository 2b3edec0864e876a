package gatewayimage

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/clawft/infra/registry"
)

// budget is the seed's limit for the compressed image.
const budget = 50 << 20

// image is an image's file system: what its layers leave, without directories'
// and links' content.
type image struct {
	v1.Image
	headers map[string]*tar.Header
	content map[string][]byte
}

func unpack(t *testing.T, from v1.Image) image {
	t.Helper()
	i := image{from, map[string]*tar.Header{}, map[string][]byte{}}
	stream := mutate.Extract(from)
	defer stream.Close()
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return i
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Trim(strings.TrimPrefix(header.Name, "./"), "/")
		i.headers[name] = header
		if i.content[name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
	}
}

// noEmulator fails where the kernel could run the foreign platform: a build that
// succeeds there proves nothing.
func noEmulator(t *testing.T) {
	t.Helper()
	handlers, err := filepath.Glob("/proc/sys/fs/binfmt_misc/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, handler := range handlers {
		if filepath.Base(handler) == "register" {
			continue // can be written alone
		}
		state, err := os.ReadFile(handler)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(state), "enabled") && strings.Contains(string(state), "qemu") {
			t.Fatalf("%s is registered, so this machine emulates: switch it off for this test (echo 0 > %s)", filepath.Base(handler), handler)
		}
	}
}

// TestImage builds both platforms where neither is emulated, and looks into them.
func TestImage(t *testing.T) {
	noEmulator(t)
	build := fixture(both...)
	build.Layout = filepath.Join(t.TempDir(), "layout")
	if _, err := theBuilder(t).Run(t.Context(), build); err != nil {
		t.Fatal(err)
	}
	images, err := Images(build.Layout)
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 2 {
		t.Fatalf("%d platforms, want 2", len(images))
	}
	for platform, machine := range map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64} {
		t.Run(platform, func(t *testing.T) {
			if images[platform] == nil {
				t.Fatal("the platform is missing")
			}
			size, err := registry.CompressedSize(images[platform])
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.1f MB compressed", float64(size)/1e6)
			if size > budget {
				t.Errorf("%d bytes compressed, want at most %d", size, budget)
			}
			checkConfig(t, images[platform])
			i := unpack(t, images[platform])
			checkFiles(t, i, machine)
			if platform == "linux/"+foreign {
				checkEmulated(t, i)
				// Nor was one registered for that.
				noEmulator(t)
			}
		})
	}
	t.Run("bill of materials", func(t *testing.T) { checkBillOfMaterials(t, billOfMaterials(t, build.Layout)) })
	t.Run("started", func(t *testing.T) { checkContainer(t, images["linux/"+engineArch(t)]) })
}

func checkConfig(t *testing.T, from v1.Image) {
	t.Helper()
	file, err := from.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config := file.Config
	if config.User != "10001:10001" || config.StopSignal != "SIGINT" || config.WorkingDir != "/home/weft" {
		t.Errorf("user %q, stop signal %q, directory %q; want 10001:10001, SIGINT, /home/weft", config.User, config.StopSignal, config.WorkingDir)
	}
	for name, got := range map[string]string{
		"entrypoint":  fmt.Sprint(config.Entrypoint),
		"command":     fmt.Sprint(config.Cmd),
		"probe":       fmt.Sprint(config.Healthcheck.Test),
		"environment": fmt.Sprint(slices.Contains(config.Env, "HOME=/home/weft")),
		"ports":       fmt.Sprint(config.ExposedPorts),
		"volumes":     fmt.Sprint(config.Volumes),
	} {
		want := map[string]string{
			"entrypoint":  "[/usr/local/bin/weft]",
			"command":     "[gateway --config /etc/clawft/config.json]",
			"probe":       "[CMD /usr/local/bin/weft-health]",
			"environment": "true",
			"ports":       "map[8080/tcp:{}]",
			"volumes":     "map[/home/weft/.clawft:{}]",
		}[name]
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for label, want := range map[string]string{
		"source":   "https://github.com/weave-logic-ai/clawft",
		"version":  "0.6.19",
		"revision": "0123456789abcdef0123456789abcdef01234567",
		"created":  "2026-01-31T23:59:59Z",
		"licenses": "MIT OR Apache-2.0",
	} {
		if got := config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

func checkFiles(t *testing.T, i image, machine elf.Machine) {
	t.Helper()
	triple := map[elf.Machine]string{elf.EM_X86_64: "x86_64-linux-gnu", elf.EM_AARCH64: "aarch64-linux-gnu"}[machine]
	for _, name := range []string{
		"usr/local/bin/weft", "usr/local/bin/weft-health", "usr/lib/" + triple + "/libssl.so.3",
		"usr/lib/" + triple + "/libcrypto.so.3", "usr/lib/" + triple + "/libgcc_s.so.1",
	} {
		file, err := elf.NewFile(bytes.NewReader(i.content[name]))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if file.Machine != machine {
			t.Errorf("%s is for %v, want %v", name, file.Machine, machine)
		}
		if strings.HasPrefix(name, "usr/local/") && file.Section(".symtab") != nil {
			t.Errorf("%s is not stripped", name)
		}
	}
	data := i.headers["home/weft/.clawft"]
	if data == nil || data.Uid != 10001 || data.Gid != 10001 {
		t.Errorf("the data directory is %+v, want one of 10001:10001", data)
	}
	if got := bytes.Count(i.content["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN CERTIFICATE")); got < 100 {
		t.Errorf("%d certificate authorities, want Debian's more than 100", got)
	}
	for name, want := range map[string]string{
		"etc/passwd":                      "weft:x:10001:10001:",
		"usr/share/doc/clawft/LICENSE":    "Apache License",
		"var/lib/dpkg/status.d/libssl3":   "Package: libssl3\n",
		"var/lib/dpkg/status.d/libgcc-s1": "Package: libgcc-s1\n",
	} {
		if !bytes.Contains(i.content[name], []byte(want)) {
			t.Errorf("%s does not hold %q", name, want)
		}
	}
	for name := range i.headers {
		if name == "health.rs" || strings.HasPrefix(name, "src/") || strings.HasPrefix(name, "var/lib/apt/lists/") && strings.HasSuffix(name, "Packages") {
			t.Errorf("%s of the build is in the image", name)
		}
	}
}

// TestSourceChange proves that what a change of the source alone costs is the
// compilation of that source.
func TestSourceChange(t *testing.T) {
	build := fixture(both...)
	if _, err := theBuilder(t).Run(t.Context(), build); err != nil {
		t.Fatal(err)
	}
	build.Context = source(t)
	edit(t, filepath.Join(build.Context, "crates", "clawft-cli", "src", "main.rs"), "no channels are enabled",
		fmt.Sprintf("no channel was enabled at %d", time.Now().UnixNano())) // nor has an earlier run of the test built it
	log, err := theBuilder(t).Run(t.Context(), build)
	if err != nil {
		t.Fatal(err)
	}
	checkSteps(t, log, "cargo chef cook", true, 2)
	checkSteps(t, log, "cargo auditable build --release", false, 2)

	// What git and cargo leave in a checkout is no part of the context.
	for _, junk := range []string{".git/index", "target/debug/weft", "crates/clawft-cli/target/weft"} {
		path := filepath.Join(build.Context, filepath.FromSlash(junk))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(t.Name()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err = theBuilder(t).Run(t.Context(), build)
	if err != nil {
		t.Fatal(err)
	}
	checkSteps(t, log, "cargo auditable build --release", true, 2)
}

func checkSteps(t *testing.T, log, command string, cached bool, want int) {
	t.Helper()
	found := 0
	for name, got := range Steps(log) {
		if !strings.Contains(name, command) {
			continue
		}
		found++
		if got != cached {
			t.Errorf("from the cache: %v, want %v: %s", got, cached, name)
		}
	}
	if found != want {
		t.Errorf("%d steps run %q, want %d, in:\n%s", found, command, want, log)
	}
}

func TestRefusedSources(t *testing.T) {
	tests := map[string]struct {
		change func(*testing.T, *Build)
		want   string
	}{
		"another version": {
			func(_ *testing.T, b *Build) { b.Args["VERSION"] = "0.6.20" },
			"VERSION is 0.6.20, but the source is version 0.6.19",
		},
		"no such crate": {
			func(t *testing.T, b *Build) {
				b.Context = source(t)
				edit(t, filepath.Join(b.Context, "crates", "clawft-cli", "Cargo.toml"), `name = "clawft-cli"`, `name = "clawft"`)
				edit(t, filepath.Join(b.Context, "Cargo.lock"), `name = "clawft-cli"`, `name = "clawft"`)
			},
			"the build context has no crate clawft-cli",
		},
		"unsupported platform": {
			// Up to the compiler's stage: the base image may not have the platform either.
			func(_ *testing.T, b *Build) { b.Platforms, b.Target = []string{"linux/riscv64"}, "cross" },
			"platform linux/riscv64 is not supported",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			build := fixture("linux/amd64")
			test.change(t, &build)
			log, err := theBuilder(t).Run(t.Context(), build)
			if err == nil || !strings.Contains(log, test.want) {
				t.Errorf("got %v, want an error and %q in the log", err, test.want)
			}
			if strings.Contains(log, "Compiling clawft") {
				t.Error("it was compiled before it was refused")
			}
		})
	}
}
