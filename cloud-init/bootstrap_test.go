package cloudinit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite zz_files.b64 and the golden files")

func TestPackedFilesAreUpToDate(t *testing.T) {
	unpacked, err := unpack(packedFiles)
	if *update && (err != nil || unpacked != installFiles()) {
		if err := os.WriteFile("zz_files.b64", pack(t, installFiles()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatalf("zz_files.b64 is damaged (%v); run: go test ./cloud-init -update", err)
	}
	if unpacked != installFiles() {
		t.Fatal("zz_files.b64 does not hold the files below host/; run: go test ./cloud-init -update")
	}
}

func unpack(packed string) (string, error) {
	reader, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(reader)
	return string(content), err
}

func pack(t *testing.T, content string) []byte {
	t.Helper()
	var compressed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	text := base64.StdEncoding.EncodeToString(compressed.Bytes())
	for len(text) > 0 {
		n := min(len(text), 100)
		lines.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return lines.Bytes()
}

// Hetzner takes 32 KiB of user-data: the cloud-config, the bootstrap and the MIME frame around them.
func TestUserDataFits(t *testing.T) {
	config, err := CloudConfig(testKey)
	if err != nil {
		t.Fatal(err)
	}
	const frame, headroom = 1 << 10, 2 << 10
	if size := len(config) + len(Bootstrap()) + frame; size > 32<<10-headroom {
		t.Errorf("user-data takes %d bytes; at most %d leave headroom below 32 KiB", size, 32<<10-headroom)
	}
}
