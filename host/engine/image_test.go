package engine

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/host/deploy"
)

func TestRemoveImage(t *testing.T) {
	const (
		// Docker's store: the image is its config, by whose digest containers name it.
		old = `{"Id":"sha256:c0","RepoTags":["<none>:<none>"],"RepoDigests":["` + image + `"],"Os":"linux","Architecture":"amd64"}`
		// containerd's: the image is what was pulled, an index for several platforms.
		index = `{"Id":"` + digest + `","RepoTags":["` + image + `"],"RepoDigests":["` + image + `"],"Os":"linux","Architecture":"amd64"}`
	)
	for _, test := range []struct {
		name, inspect, containers string
		remove                    http.HandlerFunc
		want                      error
		removed                   bool
	}{
		{"nobody needs it", old, `[]`, text(`[{"Untagged":"x"},{"Deleted":"sha256:c0"}]`), nil, true},
		{"nobody needs it, an index", index, `[{"Id":"1","Names":["/other"],"Image":"nginx","ImageID":"sha256:99"}]`, text(`[{"Untagged":"x"}]`), nil, true},
		{"nobody needs it, an engine that lists no tags", strings.Replace(index, `["`+image+`"]`, "null", 1), `[]`, text(`[{"Untagged":"x"}]`), nil, true},
		{"a container, stopped", old, `[{"Id":"1","Names":["/other"],"Image":"something","ImageID":"sha256:c0","State":"exited"}]`, nil, deploy.ErrInUse, false},
		{"a container of the index", index, `[{"Id":"1","Names":["/other"],"Image":"something","ImageID":"` + digest + `","State":"created"}]`, nil, deploy.ErrInUse, false},
		{"a container of one platform of the index", index, `[{"Id":"1","Names":["/other"],"Image":"` + image + `","ImageID":"sha256:aa","State":"running"}]`, nil, deploy.ErrInUse, false},
		{"a tag", strings.Replace(index, `["`, `["mine:latest","`, 1), `[]`, nil, deploy.ErrInUse, false},
		{"a container meanwhile", old, `[]`, refuse(409, "conflict: unable to remove repository reference \"x\" (must force) - container 1 is using its referenced image"), deploy.ErrInUse, true},
		{"gone meanwhile", old, `[]`, refuse(404, "No such image"), deploy.ErrNotFound, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.remove == nil {
				test.remove = refuse(500, "it must not be asked")
			}
			f := newFake(t, "1.52", map[string]http.HandlerFunc{
				"GET /images/{image...}": text(test.inspect), "GET /containers/json": text(test.containers),
				"DELETE /images/{image...}": func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Get("force") != "" || r.URL.Query().Get("noprune") != "" {
						t.Errorf("asked with %s", r.URL.RawQuery)
					}
					test.remove(w, r)
				},
			})
			if err := f.RemoveImage(t.Context(), image); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if removed := slices.Contains(f.asked, "DELETE /images/"+image); removed != test.removed {
				t.Errorf("asked %q", f.asked)
			}
		})
	}
}
