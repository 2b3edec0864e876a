package proof

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clawft/infra/internal/testregistry"
	"github.com/clawft/infra/registry"
)

func TestUnpublished(t *testing.T) {
	repository := testregistry.New(t)
	published := testregistry.Push(t, repository, "0.6.19", indexOf(t, map[string]int64{"linux/amd64": 1000}))
	other := testregistry.Push(t, repository, "buildcache", indexOf(t, map[string]int64{"linux/amd64": 2000}))
	for _, test := range []struct {
		name, repository, version, digest, want string
		problems                                []string
	}{
		{"a new version", repository, "0.6.20", other, "0.6.20 is not published yet", nil},
		{"in a new repository", repository + "-new", "0.6.19", other, "0.6.19 is not published yet", nil},
		{"again", repository, "0.6.19", published, "0.6.19 is published already, with this digest", nil},
		{"with other content", repository, "0.6.19", other, "", []string{
			"version 0.6.19 is published already with other content",
			repository + ":0.6.19 is " + published, "this image is " + other,
			"raise clawft:version", "clawft:image.revision", "clawft:image.digest " + published,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			proof := Unpublished{Image: Image{Repository: test.repository, Digest: test.digest}, Version: test.version}
			got, err := proof.Run(t.Context())
			if test.problems != nil {
				wantError(t, err, test.problems...)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// A registry that does not let us look must not be taken for one without the
// version.
func TestUnpublishedUnknown(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	image := Image{Repository: strings.TrimPrefix(server.URL, "http://") + "/clawft/clawft", Digest: "sha256:" + strings.Repeat("1", 64)}

	_, err := (&Unpublished{Image: image, Version: "0.6.19"}).Run(t.Context())
	wantError(t, err, "denies access", "docker login")

	image.Login = &registry.Login{Username: "bot", Password: "canary"}
	_, err = (&Unpublished{Image: image, Version: "0.6.19"}).Run(t.Context())
	wantError(t, err, "denies access", "clawft:registryPassword", `"bot"`)
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error shows the password: %v", err)
	}
}

// What was decided before the build, perhaps of a repository that did not exist or
// did not answer, is looked at again: no tag goes back to a lower release.
func TestTagsStillBelongToTheRelease(t *testing.T) {
	repository := testregistry.New(t)
	image := testregistry.Push(t, repository, "buildcache", indexOf(t, map[string]int64{"linux/amd64": 1000}))
	testregistry.Push(t, repository, "0.6.20-r1", indexOf(t, map[string]int64{"linux/amd64": 2000}))
	for _, test := range []struct {
		version  string
		revision int
		tags     []string
		lost     string
	}{
		{"0.6.21", 0, []string{"0.6.21", "0.6", "latest"}, ""},
		{"0.6.20", 2, []string{"0.6.20-r2", "0.6", "latest"}, ""},
		{"0.6.19", 0, []string{"0.6.19"}, ""},
		{"0.6.19", 0, []string{"0.6.19", "0.6", "latest"}, "0.6"},
		{"0.6.20", 0, []string{"0.6.20", "latest"}, "latest"},
		{"0.5.1", 0, []string{"0.5.1", "0.5", "latest"}, "latest"},
	} {
		t.Run(test.version+" as "+strings.Join(test.tags, " "), func(t *testing.T) {
			proof := Unpublished{Image: Image{Repository: repository, Digest: image}, Version: test.version, Revision: test.revision, Tags: test.tags}
			found, err := proof.Run(t.Context())
			if test.lost != "" {
				wantError(t, err, "the tag "+test.lost+" of "+repository, "belongs to a higher release", "run pulumi up again")
				return
			}
			if err != nil || found != test.tags[0]+" is not published yet" {
				t.Errorf("got %q, %v", found, err)
			}
		})
	}
}
