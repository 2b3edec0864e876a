package toolchain

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// published is the program that stands for what the authors published.
const published = "#!/bin/sh\necho v1.2.3\n"

// archived is a compressed tar archive of one file.
func archived(t *testing.T, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	files := tar.NewWriter(zip)
	if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(files.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// publish serves one file, and describes it to the checkout.
func publish(t *testing.T, root, member string, promised []byte, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	describe(t, root, "v1.2.3", server.URL+"/hello", member, promised)
}

func describe(t *testing.T, root, version, url, member string, promised []byte) {
	t.Helper()
	sum := sha256.Sum256(promised)
	content, err := json.Marshal(release{Version: version, Files: map[string]releaseFile{
		runtime.GOOS + "/" + runtime.GOARCH: {URL: url, SHA256: hex.EncodeToString(sum[:]), Member: member},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "tools/hello/release.json"), content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func serve(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }
}

func output(t *testing.T, binary string) string {
	t.Helper()
	out, err := exec.Command(binary).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v", binary, err)
	}
	return strings.TrimSpace(string(out))
}

// leftOnlyThe expects nothing but the binary and its lock in the cache.
func leftOnlyThe(t *testing.T, root, binary string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, ".lab/cache/bin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != binary && name != "hello-v1.2.3.lock" {
			t.Errorf("%s is left", name)
		}
	}
}

func TestEnsureDownloads(t *testing.T) {
	plain := []byte(published)
	tests := []struct {
		name, member string
		file         []byte
	}{
		{"the program itself", "", plain},
		{"in an archive", "pulumi/hello", archived(t, "pulumi/hello", published)},
		{"in an archive with a leading dot", "bin/hello", archived(t, "./bin/hello", published)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := checkout(t)
			publish(t, root, test.member, test.file, serve(test.file))
			var told said
			binary, err := Ensure(t.Context(), root, hello, told.progress)
			if err != nil {
				t.Fatal(err)
			}
			if got := output(t, binary); got != "v1.2.3" {
				t.Errorf("it says %q, so it is not what was published", got)
			}
			leftOnlyThe(t, root, filepath.Base(binary))
			if text := strings.Join(told, "\n"); !strings.Contains(text, "downloading hello v1.2.3 from http://") ||
				!strings.Contains(text, "downloaded hello v1.2.3 in ") {
				t.Errorf("the user was told:\n%s", text)
			}
			var second said
			if _, err := Ensure(t.Context(), root, hello, second.progress); err != nil || len(second) > 0 {
				t.Errorf("a second call was not silent: %v, %v", second, err)
			}
		})
	}
}

// Whatever is wrong with a download is said, leaves nothing, and costs seconds:
// the program is built as it would be without one.
func TestEnsureBuildsWhatItCannotDownload(t *testing.T) {
	answerTimeout, stallTimeout = 500*time.Millisecond, 500*time.Millisecond
	t.Cleanup(func() { answerTimeout, stallTimeout = 5*time.Second, 15*time.Second })
	good := []byte(published)
	until := func(r *http.Request) { <-r.Context().Done() }
	tests := []struct {
		name, member string
		promised     []byte
		handler      http.HandlerFunc
		told         string
	}{
		{"another content", "", good, serve([]byte("#!/bin/sh\necho v1.2.3; rm -rf /\n")), "its SHA-256 is "},
		{"cut off", "", good, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(good)
		}, "unexpected EOF"},
		{"an error", "", good, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "answers 404 Not Found"},
		{"a page of a captive portal", "", good, serve([]byte("<html>please log in</html>")), "its SHA-256 is "},
		{"no answer", "", good, func(_ http.ResponseWriter, r *http.Request) { until(r) }, "no answer within 500ms"},
		{"a stall", "", good, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(good[:5])
			_ = http.NewResponseController(w).Flush()
			until(r)
		}, "nothing came for 500ms"},
		{"not in the archive", "bin/other", archived(t, "bin/hello", published), serve(archived(t, "bin/hello", published)), "no bin/other in it"},
		{"no archive", "bin/hello", good, serve(good), "unpacking hello: gzip: invalid header"},
		{"of another system", "", []byte("\x7fELF not for this machine"), serve([]byte("\x7fELF not for this machine")), "starting it on this machine"},
		{"of another version", "", []byte("#!/bin/sh\necho v9.9.9\n"), serve([]byte("#!/bin/sh\necho v9.9.9\n")), "it is v9.9.9"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := checkout(t)
			publish(t, root, test.member, test.promised, test.handler)
			var told said
			binary, err := Ensure(t.Context(), root, hello, told.progress)
			if err != nil {
				t.Fatal(err)
			}
			if got := output(t, binary); got != "hello v1.2.3" {
				t.Errorf("it says %q, so it was not built", got)
			}
			leftOnlyThe(t, root, filepath.Base(binary))
			if text := strings.Join(told, "\n"); !strings.Contains(text, "could not download hello: ") || !strings.Contains(text, test.told) {
				t.Errorf("the user was told:\n%s\nwant %q", text, test.told)
			}
		})
	}
}

// A slow download goes on for as long as something comes.
func TestEnsureWaitsForASlowDownload(t *testing.T) {
	stallTimeout = 300 * time.Millisecond
	t.Cleanup(func() { stallTimeout = 15 * time.Second })
	root := checkout(t)
	publish(t, root, "", []byte(published), func(w http.ResponseWriter, _ *http.Request) {
		for _, piece := range strings.SplitAfter(published, "") {
			time.Sleep(50 * time.Millisecond)
			_, _ = w.Write([]byte(piece))
			_ = http.NewResponseController(w).Flush()
		}
	})
	var told said
	binary, err := Ensure(t.Context(), root, hello, told.progress)
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, binary); got != "v1.2.3" {
		t.Errorf("it says %q, so it was not downloaded: %q", got, told)
	}
}

// A server that could not be reached once is not waited for again.
func TestEnsureTriesASilentServerOnce(t *testing.T) {
	answerTimeout = 500 * time.Millisecond
	t.Cleanup(func() { answerTimeout = 5 * time.Second })
	// A listener that nobody accepts from: connections are made and stay silent.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for i, want := range []string{"no answer within 500ms", "could not be reached before"} {
		root := checkout(t)
		describe(t, root, "v1.2.3", "http://"+listener.Addr().String()+"/hello", "", []byte(published))
		var told said
		if _, err := Ensure(t.Context(), root, hello, told.progress); err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(told, "\n"); !strings.Contains(text, want) {
			t.Errorf("call %d: the user was told:\n%s\nwant %q", i+1, text, want)
		}
	}
}

func TestEnsureLeavesNothingOfAnInterruptedDownload(t *testing.T) {
	root := checkout(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupt := errors.New("the user pressed Ctrl-C")
	publish(t, root, "", []byte(published), func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(published)[:5])
		_ = http.NewResponseController(w).Flush()
		cancel(interrupt)
		<-r.Context().Done()
	})
	if _, err := Ensure(ctx, root, hello, new(said).progress); !errors.Is(err, interrupt) {
		t.Errorf("the error is %v, want the interruption", err)
	}
	leftOnlyThe(t, root, "")
}

// A proxy of the environment is the way out where there is no other.
func TestDownloadsUseTheProxy(t *testing.T) {
	// net/http reads the environment once, so another process has to look.
	if address := os.Getenv("TOOLCHAIN_DOWNLOAD"); address != "" {
		file := releaseFile{URL: address, SHA256: strings.Repeat("0", 64)}
		err := fetch(t.Context(), hello, file, filepath.Join(t.TempDir(), "file"), new(said).progress)
		if err == nil || !strings.Contains(err.Error(), "its SHA-256 is ") {
			t.Errorf("got %v, want that the proxy's content is not the right one", err)
		}
		return
	}
	proxy := httptest.NewServer(serve([]byte("from the proxy")))
	defer proxy.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDownloadsUseTheProxy$")
	cmd.Env = append(os.Environ(), "TOOLCHAIN_DOWNLOAD=http://releases.invalid/hello", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A new version in go.mod has no checksum here yet.
func TestEnsureIgnoresTheReleaseOfAnotherVersion(t *testing.T) {
	root := checkout(t)
	describe(t, root, "v1.2.2", "http://releases.invalid/hello", "", []byte(published))
	var told said
	if _, err := Ensure(t.Context(), root, hello, told.progress); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(told, "\n"); strings.Contains(text, "download") || !strings.Contains(text, "building hello") {
		t.Errorf("the user was told:\n%s", text)
	}
}

// The repository's own releases are of the pinned versions, and whole.
func TestReleases(t *testing.T) {
	const root = "../.."
	for _, tool := range []Tool{Pulumi, Buildkitd, Buildx, Actionlint, GolangciLint, Act} {
		t.Run(tool.Name, func(t *testing.T) {
			r, err := tool.release(root)
			if err != nil || r == nil {
				if err != nil || tool == Pulumi || tool == Buildkitd || tool == Buildx {
					t.Fatalf("what the lab needs is not published: %v", err)
				}
				return // is only built
			}
			pinned, err := tool.pin(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			if r.Version != pinned.Version {
				t.Errorf("release.json is about %s, go.mod pins %s: renew the checksums from %s, or remove the file",
					r.Version, pinned.Version, r.Checksums)
			}
			if r.Checksums == "" {
				t.Error("nobody vouches for the checksums")
			}
			if _, known := r.Files["linux/amd64"]; !known {
				t.Error("there is nothing for linux/amd64")
			}
			for platform, file := range r.Files {
				if !strings.HasPrefix(file.URL, "https://github.com/") || !strings.Contains(file.URL, "/"+r.Version+"/") {
					t.Errorf("%s: %s is not of release %s at GitHub", platform, file.URL, r.Version)
				}
				if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(file.SHA256) {
					t.Errorf("%s: %q is no SHA-256", platform, file.SHA256)
				}
				if strings.HasSuffix(file.URL, ".tar.gz") != (file.Member != "") {
					t.Errorf("%s: %s has the member %q", platform, file.URL, file.Member)
				}
			}
		})
	}
}
