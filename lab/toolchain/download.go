package toolchain

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// answerTimeout bounds the time until a download begins: a machine without a
	// way out is to go on building within seconds.
	answerTimeout = 5 * time.Second
	// stallTimeout is how long a download may stand still.
	stallTimeout = 15 * time.Second
)

// silent are the servers that could not be reached. They are not tried again: a
// machine without a way out would otherwise wait for each tool anew.
var silent sync.Map

// download gets a file of a release, checks it, and puts the program in place.
// Whatever fails, nothing is in its place. The caller has the lock.
func download(ctx context.Context, tool Tool, version string, file releaseFile, binary string, progress Progress) error {
	work, err := workDir(binary)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	start := time.Now()
	progress("downloading %s %s from %s", tool.Name, version, file.URL)
	archive := filepath.Join(work, "archive")
	if err := fetch(ctx, tool, file, archive, progress); err != nil {
		return err
	}
	output := archive
	if file.Member != "" {
		output = filepath.Join(work, tool.Name)
		if err := extract(archive, file.Member, output); err != nil {
			return fmt.Errorf("unpacking %s: %w", path.Base(file.URL), err)
		}
	}
	if err := os.Chmod(output, 0o755); err != nil {
		return err
	}
	got, err := tool.ask(ctx, output)
	if err != nil {
		return fmt.Errorf("starting it on this machine: %w", err)
	}
	if got != version {
		return fmt.Errorf("it is %s", got)
	}
	if err := os.Rename(output, binary); err != nil {
		return fmt.Errorf("putting it in place: %w", err)
	}
	progress("downloaded %s %s in %s", tool.Name, version, time.Since(start).Round(time.Second))
	return nil
}

// fetch writes the file and checks it.
func fetch(ctx context.Context, tool Tool, file releaseFile, to string, progress Progress) error {
	address, err := url.Parse(file.URL)
	if err != nil {
		return err
	}
	if _, known := silent.Load(address.Host); known {
		return fmt.Errorf("%s could not be reached before", address.Host)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alarm := time.AfterFunc(answerTimeout, func() { cancel(fmt.Errorf("no answer within %s", answerTimeout)) })
	defer alarm.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, file.URL, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		silent.Store(address.Host, true)
		return because(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", response.Request.URL.Host, response.Status)
	}

	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	alarm.Stop()
	alarm = time.AfterFunc(stallTimeout, func() { cancel(fmt.Errorf("nothing came for %s", stallTimeout)) })
	defer alarm.Stop()
	var got atomic.Int64
	stop := every(heartbeat, func() {
		progress("downloading %s: %d of %d MB", tool.Name, got.Load()/1e6, max(response.ContentLength, 0)/1e6)
	})
	defer stop()
	sum := sha256.New()
	written := writerFunc(func(p []byte) (int, error) {
		alarm.Reset(stallTimeout)
		got.Add(int64(len(p)))
		return len(p), nil
	})
	if _, err := io.Copy(io.MultiWriter(out, sum, written), response.Body); err != nil {
		return because(ctx, err)
	}
	if is := hex.EncodeToString(sum.Sum(nil)); is != file.SHA256 {
		return fmt.Errorf("its SHA-256 is %s, not %s as tools/%s/release.json says", is, file.SHA256, tool.Name)
	}
	return out.Close()
}

// because prefers the reason for which this package ended a request.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// extract writes one file of a compressed tar archive.
func extract(archive, member, to string) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("there is no %s in it", member)
		}
		if err != nil {
			return err
		}
		if path.Clean(header.Name) != member || header.Typeflag != tar.TypeReg {
			continue
		}
		out, err := os.Create(to)
		if err != nil {
			return err
		}
		defer out.Close()
		// The archive is the one whose checksum is known, and so is the file's size.
		if _, err := io.CopyN(out, files, header.Size); err != nil {
			return err
		}
		return out.Close()
	}
}
