package workflows

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

const (
	kib = 1024
	mib = 1024 * kib
)

func TestSizeGate(t *testing.T) {
	for _, test := range []struct {
		name   string
		size   int
		limits []string
		passes bool
		says   string
	}{
		{"just under a limit in KiB", 300*kib - 1, []string{"raw=300KiB"}, true, "(307199 bytes), within the limit of 300KiB"},
		{"exactly a limit in KiB", 300 * kib, []string{"raw=300KiB"}, true, "(307200 bytes), within the limit of 300KiB"},
		{"just over a limit in KiB", 300*kib + 1, []string{"raw=300KiB"}, false, "1 bytes more than the limit of 300KiB"},
		{"just under a limit in MiB", 10*mib - 1, []string{"raw=10MiB"}, true, "(10485759 bytes), within the limit of 10MiB"},
		{"exactly a limit in MiB", 10 * mib, []string{"raw=10MiB"}, true, "(10485760 bytes), within the limit of 10MiB"},
		{"just over a limit in MiB", 10*mib + 1, []string{"raw=10MiB"}, false, "1 bytes more than the limit of 10MiB"},
		{"over one of two limits", 121 * kib, []string{"raw=300KiB", "gzip=120KiB"}, false, "more than the limit of 120KiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "module.wasm")
			write(t, file, noise(test.size))
			output, passed := run(t, "size.sh", append([]string{file}, test.limits...)...)
			if passed != test.passes || !strings.Contains(output, test.says) {
				t.Errorf("passed %t, want %t and %q:\n%s", passed, test.passes, test.says, output)
			}
		})
	}
}

func TestSizeGateOfCompressedFile(t *testing.T) {
	const limit = 120 * kib
	file := filepath.Join(t.TempDir(), "module.wasm")
	// Noise does not compress, so one more byte of it is one more byte of gzip.
	length := limit
	compressed := func() int {
		write(t, file, noise(length))
		output, err := exec.Command("gzip", "-9", "--no-name", "--stdout", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		return len(output)
	}
	for size := compressed(); size != limit; size = compressed() {
		length -= size - limit
	}
	if output, passed := run(t, "size.sh", file, "gzip=120KiB"); !passed {
		t.Errorf("%d bytes were refused:\n%s", limit, output)
	}
	length++
	if size := compressed(); size != limit+1 {
		t.Fatalf("one more byte of noise makes %d bytes of gzip", size)
	}
	if output, passed := run(t, "size.sh", file, "gzip=120KiB"); passed {
		t.Errorf("%d bytes were accepted:\n%s", limit+1, output)
	}
}

func TestSizeGateRefusesWhatItCannotMeasure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "weft")
	write(t, file, noise(10))
	for _, test := range []struct {
		name, file, limit, says string
	}{
		{"missing file", file + ".not", "raw=10MiB", "does not exist"},
		{"decimal unit", file, "raw=10MB", "raw=10MB is no limit"},
		{"no unit", file, "raw=10", "raw=10 is no limit"},
		{"unknown form", file, "brotli=10MiB", "brotli=10MiB is no limit"},
		{"no limit at all", file, "", " is no limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			output, passed := run(t, "size.sh", test.file, test.limit)
			if passed || !strings.Contains(output, test.says) {
				t.Errorf("passed %t, want a refusal that says %q:\n%s", passed, test.says, output)
			}
		})
	}
}

func TestImageSizeGate(t *testing.T) {
	const limit = 2 * mib
	for _, test := range []struct {
		name  string
		layer []byte // 1 MiB of it counts
	}{
		{"layers as in the registry", gzipped(t, mib)},
		{"layers unpacked by the engine", unpackedTo(t, mib)},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, at := range []struct {
				name   string
				size   int
				passes bool
				says   string
			}{
				{"just under", limit - 1, true, "(2097151 bytes) compressed, within the limit of 2MiB"},
				{"exactly", limit, true, "(2097152 bytes) compressed, within the limit of 2MiB"},
				{"just over", limit + 1, false, "1 bytes more than the limit of 2MiB"},
			} {
				t.Run(at.name, func(t *testing.T) {
					archive := filepath.Join(t.TempDir(), "image.tar")
					// The configuration counts as well: it fills up to the size.
					write(t, archive, saved(t, noise(at.size-mib), test.layer))
					output, passed := run(t, "image-size.sh", archive, "2MiB")
					if passed != at.passes || !strings.Contains(output, at.says) {
						t.Errorf("passed %t, want %t and %q:\n%s", passed, at.passes, at.says, output)
					}
				})
			}
		})
	}
	t.Run("no archive", func(t *testing.T) {
		if output, passed := run(t, "image-size.sh", "/nonexistent.tar", "2MiB"); passed {
			t.Errorf("passed without an image:\n%s", output)
		}
	})
}

// noise does not compress, and is the same in every run.
func noise(size int) []byte {
	random := rand.NewChaCha8([32]byte{})
	data := make([]byte, size)
	_, _ = random.Read(data) // never fails
	return data
}

// gzipped is a layer that has exactly size bytes.
func gzipped(t *testing.T, size int) []byte {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(noise(size / 2)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(packed.Bytes(), make([]byte, size-packed.Len())...)
}

// unpackedTo is a layer that gzip makes exactly size bytes of.
func unpackedTo(t *testing.T, size int) []byte {
	length := size
	for {
		cmd := exec.Command("gzip", "--no-name", "--stdout")
		cmd.Stdin = bytes.NewReader(noise(length))
		packed, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if len(packed) == size {
			return noise(length)
		}
		length -= len(packed) - size
	}
}

// saved is an archive as `docker image save` writes it.
func saved(t *testing.T, config, layer []byte) []byte {
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{"clawft:smoke"}, "Layers": []string{"blobs/layer"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range []struct {
		name string
		data []byte
	}{{"manifest.json", manifest}, {"config.json", config}, {"blobs/layer", layer}} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(file.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a gate as a workflow does, and tells whether it passed.
func run(t *testing.T, script string, args ...string) (string, bool) {
	t.Helper()
	output, err := exec.Command("bash", append([]string{filepath.Join("gates", script)}, args...)...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(fmt.Errorf("running %s: %w", script, err))
	}
	return string(output), err == nil
}
