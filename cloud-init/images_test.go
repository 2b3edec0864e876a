package cloudinit

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	repository = "ghcr.io/clawft/clawft"
	imageA     = repository + "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	imageB     = repository + "@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	imageC     = repository + "@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

// testImage is an image as an engine keeps it.
type testImage struct {
	digest string
	tags   []string
	// used by a container.
	used bool
}

// testEngine answers as an engine does: an old one, whose image ID is that of the config, or a new one
// with containerd's store, whose ID is the digest itself, which is among the tags.
type testEngine struct {
	t       *testing.T
	current bool

	mu     sync.Mutex
	images []testImage
	// version and info are what GET /version and GET /info answer.
	version, info map[string]any
	// containers are what GET /containers/json adds to those that use images.
	containers []map[string]any
	// broken makes it fail every question.
	broken bool
}

func (e *testEngine) id(image testImage) string {
	_, digest, _ := strings.Cut(image.digest, "@")
	if e.current {
		return digest
	}
	return strings.Replace(digest, "sha256:", "sha256:0", 1)[:len(digest)]
}

func (e *testEngine) serve(host testHost) {
	e.t.Helper()
	if err := os.MkdirAll(filepath.Dir(host.path("/run/docker.sock")), 0o700); err != nil {
		e.t.Fatal(err)
	}
	listener, err := net.Listen("unix", host.path("/run/docker.sock"))
	if err != nil {
		e.t.Fatal(err)
	}
	server := &http.Server{Handler: e}
	go func() { _ = server.Serve(listener) }()
	e.t.Cleanup(func() { server.Close() })
}

func (e *testEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	name, inspected := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/images/"), "/json")
	at := slices.IndexFunc(e.images, func(image testImage) bool { return image.digest == name })
	switch {
	case e.broken:
		answer(http.StatusInternalServerError, map[string]any{"message": "out of order"})
	case r.URL.Path == "/version":
		answer(http.StatusOK, e.version)
	case r.URL.Path == "/info":
		answer(http.StatusOK, e.info)
	case r.URL.Path == "/containers/json":
		containers := append([]map[string]any{}, e.containers...)
		for _, image := range e.images {
			if image.used {
				containers = append(containers, map[string]any{"ImageID": e.id(image), "Names": []string{"/theirs"}})
			}
		}
		answer(http.StatusOK, containers)
	case strings.HasPrefix(r.URL.Path, "/images/") && at < 0:
		answer(http.StatusNotFound, map[string]any{"message": "No such image: " + name})
	case r.Method == http.MethodGet && inspected:
		image := e.images[at]
		found := map[string]any{"Id": e.id(image), "RepoTags": image.tags, "RepoDigests": []string{image.digest}}
		switch {
		case e.current:
			found["RepoTags"] = append([]string{image.digest}, image.tags...)
		case len(image.tags) == 0:
			found["RepoTags"] = []string{}
		}
		answer(http.StatusOK, found)
	case r.Method == http.MethodDelete && e.images[at].used:
		answer(http.StatusConflict, map[string]any{"message": "image is being used by a container"})
	case r.Method == http.MethodDelete:
		answer(http.StatusOK, []map[string]any{{"Untagged": e.images[at].digest}, {"Deleted": e.id(e.images[at])}})
		e.images = slices.Delete(e.images, at, at+1)
	default:
		e.t.Errorf("the engine has no %s %s", r.Method, r.URL)
		answer(http.StatusNotFound, map[string]any{"message": "page not found"})
	}
}

func (e *testEngine) has() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	for _, image := range e.images {
		all = append(all, image.digest)
	}
	return all
}

// What deployments brought goes once no release uses it; what is somebody else's stays, on engines old
// and new.
func TestPruneRemovesOurImages(t *testing.T) {
	for name, isNew := range map[string]bool{"20.10": false, "29 with containerd's store": true} {
		for _, c := range []struct {
			name         string
			images       []testImage
			listed       []string
			broken       bool
			want, wanted []string // what stays: images, and lines of the list
		}{
			{"one that a removed release used", []testImage{{digest: imageA}, {digest: imageB}, {digest: imageC}}, []string{imageA, imageB, imageC}, false, []string{imageB, imageC}, []string{imageB, imageC}},
			{"one that was there before", []testImage{{digest: imageA}}, []string{imageB, imageC}, false, []string{imageA}, []string{imageB, imageC}},
			{"one that somebody gave a tag", []testImage{{digest: imageA, tags: []string{repository + ":mine"}}}, []string{imageA}, false, []string{imageA}, nil},
			{"one that somebody runs", []testImage{{digest: imageA, used: true}}, []string{imageA}, false, []string{imageA}, []string{imageA}},
			{"one that was never pulled", nil, []string{imageA}, false, nil, nil},
			{"a line that was cut short", []testImage{{digest: imageA}}, []string{repository + "@sha2"}, false, []string{imageA}, nil},
			{"an engine out of order", []testImage{{digest: imageA}}, []string{imageA}, true, []string{imageA}, []string{imageA}},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				host := newTestHost(t)
				host.release("2-b", "IMAGE="+imageB+"\n")
				host.release("1-c", "IMAGE="+imageC+"\n")
				host.release("0-a", "IMAGE="+imageA+"\n")
				host.link("current", "2-b")
				host.link("previous", "1-c")
				host.write("/opt/clawft/images", strings.Join(c.listed, "\n")+"\n", 0o600)
				engine := &testEngine{t: t, current: isNew, images: c.images, broken: c.broken}
				engine.serve(host)
				host.succeeds("bash", "-c", "set -euo pipefail; . "+host.path(libDirectory)+"common.sh; . "+host.path(libDirectory)+"images.sh; prune")
				if got := engine.has(); !slices.Equal(got, c.want) {
					t.Errorf("the engine has %v\nwant          %v", got, c.want)
				}
				list, err := os.ReadFile(host.path("/opt/clawft/images"))
				if got := strings.Fields(string(list)); !slices.Equal(got, c.wanted) || (err == nil) != (len(c.wanted) > 0) {
					t.Errorf("the list has %v (%v)\nwant         %v", got, err, c.wanted)
				}
			})
		}
	}
}

// A pull that is cut short leaves a line, so that what it brought is removed later.
func TestImagesAreListedBeforeTheyArePulled(t *testing.T) {
	host := newTestHost(t)
	engine := &testEngine{t: t, images: []testImage{{digest: imageA}}}
	engine.serve(host)
	pulls := func(image string) string {
		host.command("docker", `cat `+host.path("/opt/clawft/images")+`; kill -9 $PPID`)
		host.write("/run/clawft/deploy/x/request.json", `{"image":"`+image+`","pullTimeout":10,"registry":null}`, 0o600)
		output, _ := host.runs("bash", "-c", "set -euo pipefail; . "+host.path(libDirectory)+"common.sh; . "+host.path(libDirectory)+"images.sh\n"+
			"DIR="+host.path("/run/clawft/deploy/x")+" REQUEST=$DIR/request.json\n"+
			"request() { jq -r \".$1\" \"$REQUEST\"; }\nsay() { :; }\nfail() { echo \"failed: $1\"; exit 1; }\n"+
			function(t, deployWorkerScript, "pull")+"pull; cat \"$IMAGES\" 2>/dev/null || echo nothing listed")
		return output
	}
	if err := os.MkdirAll(host.path("/opt/clawft"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := pulls(imageA); got != "nothing listed\n" {
		t.Errorf("an image that was there before: %q", got)
	}
	pulls(imageB)
	if got, _ := os.ReadFile(host.path("/opt/clawft/images")); string(got) != imageB+"\n" {
		t.Errorf("after a pull that was cut short, the list is %q", got)
	}
}
