package agent

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// kept is how long a program that nobody asked for stays in the cache.
const kept = 30 * 24 * time.Hour

// Binary is the program for one architecture.
type Binary struct {
	// SHA256 is the program's, in hexadecimal digits.
	SHA256 string
	// Packed is the program, compressed with gzip.
	Packed []byte
}

// Build returns the program of a checkout, of which source is the hash, for an architecture. It compiles it
// unless the cache of this user has it, and says so while it does.
func Build(ctx context.Context, root, source, architecture string, say func(string)) (Binary, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return Binary{}, fmt.Errorf("finding where to keep the program of hosts: %w", err)
	}
	cache := filepath.Join(caches, "clawft", "host")
	path := filepath.Join(cache, source+"-"+architecture+".gz")
	if binary, err := load(path); err == nil {
		// So that it is not thrown away as unused; where that fails, it is built again some day.
		_ = os.Chtimes(path, time.Time{}, time.Now())
		return binary, nil
	}
	say(fmt.Sprintf("building clawft-host for %s; the first time, this takes some minutes", architecture))
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return Binary{}, fmt.Errorf("making the cache for the program of hosts: %w", err)
	}
	forget(cache)
	started := time.Now()
	work, err := os.MkdirTemp(cache, ".build-")
	if err != nil {
		return Binary{}, fmt.Errorf("making the cache for the program of hosts: %w", err)
	}
	defer os.RemoveAll(work)
	built := filepath.Join(work, "clawft-host")
	if err := compile(ctx, root, built, architecture); err != nil {
		return Binary{}, err
	}
	if now, err := Source(root); err != nil || now != source {
		return Binary{}, errors.Join(err, errors.New("the sources of clawft-host were changed while it was built: run pulumi up again"))
	}
	program, err := os.ReadFile(built)
	if err != nil {
		return Binary{}, fmt.Errorf("reading what was built: %w", err)
	}
	binary, err := pack(program)
	if err != nil {
		return Binary{}, err
	}
	say(fmt.Sprintf("built clawft-host for %s in %.0f s: %.1f MB, %.1f MB compressed", architecture, time.Since(started).Seconds(),
		float64(len(program))/1e6, float64(len(binary.Packed))/1e6))
	if err := store(path, work, binary); err != nil {
		return Binary{}, fmt.Errorf("keeping what was built: %w", err)
	}
	return binary, nil
}

// compile makes the program, whatever the environment says about other programs.
func compile(ctx context.Context, root, output, architecture string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", output, module+"/"+program)
	command.Dir = root
	command.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+architecture, "CGO_ENABLED=0",
		"GOWORK=off", "GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
	if said, err := command.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("building clawft-host for %s with %s: %w\n%s", architecture, command.Path, err, bytes.TrimSpace(said))
	}
	return nil
}

func pack(program []byte) (Binary, error) {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err == nil {
		_, err = writer.Write(program)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		return Binary{}, fmt.Errorf("compressing clawft-host: %w", err)
	}
	sum := sha256.Sum256(program)
	return Binary{SHA256: hex.EncodeToString(sum[:]), Packed: packed.Bytes()}, nil
}

// A file of the cache is a line with the program's hash, a line with the hash of what follows, and the
// compressed program. Each is complete, because it is written beside and then named.
func store(path, work string, binary Binary) error {
	content := append(fmt.Appendf(nil, "%s\n%x\n", binary.SHA256, sha256.Sum256(binary.Packed)), binary.Packed...)
	beside := filepath.Join(work, filepath.Base(path))
	if err := os.WriteFile(beside, content, 0o600); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

func load(path string) (Binary, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Binary{}, err
	}
	parts := bytes.SplitN(content, []byte("\n"), 3)
	if len(parts) != 3 || string(parts[1]) != fmt.Sprintf("%x", sha256.Sum256(parts[2])) {
		return Binary{}, errors.New("it is damaged")
	}
	return Binary{SHA256: string(parts[0]), Packed: parts[2]}, nil
}

// forget removes what was not asked for for long, and what builds left that were killed.
func forget(cache string) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > kept {
			_ = os.RemoveAll(filepath.Join(cache, entry.Name()))
		}
	}
}
