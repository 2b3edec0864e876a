package pipeline

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/gate/proof"
	"github.com/clawft/infra/internal/recorder"
	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/internal/testregistry"
)

const stackReference = "pulumi:pulumi:StackReference"

// publish puts an image under a tag of the product's repository, with a label, and
// returns its digest. Anything that holds a program is a gateway to a bill of
// materials.
func publish(t *testing.T, tag, commit string) string {
	t.Helper()
	path, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	image, err := crane.Image(map[string][]byte{"usr/local/bin/weft": program, "tag": []byte(tag)})
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.Config(image, v1.Config{Labels: map[string]string{"org.opencontainers.image.revision": commit}}); err != nil {
		t.Fatal(err)
	}
	return testregistry.Push(t, published, tag, testregistry.Index(map[string]v1.Image{"linux/arm64": image}))
}

// attested signs an image and says of what it was built.
func attested(t *testing.T, digest, key string, build attest.Build) {
	t.Helper()
	if _, err := (&attest.Attest{Image: proof.Image{Repository: published, Digest: digest}, Key: key, Build: build}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// left makes outputs those that the stack's last update left.
func left(r *recorder.Recorder, outputs map[string]any) {
	r.Outputs[stackReference] = func(resource.PropertyMap) resource.PropertyMap {
		return resource.PropertyMap{"outputs": resource.NewProperty(resource.NewPropertyMapFromMap(outputs))}
	}
}

// What is published is deployed, and not built again, by whatever has changed of
// how it would be built.
func TestPublishedIsNotBuiltAgain(t *testing.T) {
	key, private := testkey.New(t)
	_, foreign := testkey.New(t)
	const source = "https://github.com/weave-logic-ai/clawft.git"
	for _, test := range []struct {
		name string
		// before is what the last update left, with DIGEST for what is published.
		before map[string]any
		// image changes the configuration.
		image map[string]any
		// generated leaves the signing key to the stack.
		generated bool
		// resource is true if the image stays in the state.
		resource bool
	}{
		{name: "the last update built it", before: map[string]any{"built": "DIGEST"}, resource: true},
		{name: "the last update built another", before: map[string]any{"built": digest}},
		{name: "the last update built none", before: map[string]any{"version": "0.6.20"}},
		{name: "a new stack", before: map[string]any{}},
		{name: "with other arguments, bases and platforms", before: map[string]any{}, image: map[string]any{
			"buildArgs": map[string]any{"FEATURES": "all"}, "contexts": map[string]any{"rust:1": "docker-image://rust:2"}, "platforms": []any{"linux/arm64"},
		}},
		{name: "by a generated key", generated: true, before: map[string]any{"publicKeys": []any{key.Public().String()}}},
		{name: "without signatures", image: map[string]any{"sign": false}, generated: true},
	} {
		for _, preview := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, preview %v", test.name, preview), func(t *testing.T) {
				r := recordedStack(t, "prod")
				r.Preview = preview
				commit := ref(t, r)
				found := publish(t, "0.6.19", commit)
				publish(t, "0.6.20", commit)
				attested(t, found, private, attest.Build{Source: source, Commit: commit, Version: "0.6.19", Dockerfile: "another"})
				for field, value := range test.image {
					setPath(t, r, "clawft:image", field, value)
				}
				if !test.generated {
					r.Config["clawft:signingKey"] = private
					r.SecretKeys = append(r.SecretKeys, "clawft:signingKey")
				}
				outputs := map[string]any{}
				for name, value := range test.before {
					if value == "DIGEST" {
						value = found
					}
					outputs[name] = value
				}
				left(r, outputs)
				// The provider knows the digest of what it built.
				r.Outputs["docker-build:index:Image"] = func(resource.PropertyMap) resource.PropertyMap {
					return resource.PropertyMap{"digest": resource.NewProperty(found)}
				}
				if err := r.Run(Deploy); err != nil {
					t.Fatal(err)
				}
				build := r.Find("docker-build:index:Image", "gateway-build")
				if (build != nil) != test.resource {
					t.Fatalf("the image is %v", build)
				}
				if build != nil && (!slices.Equal(build.Request.GetIgnoreChanges(), []string{"*"}) || !build.Request.GetRetainOnDelete()) {
					t.Errorf("changes build it again: ignored are %v", build.Request.GetIgnoreChanges())
				}
				if preview && build != nil {
					return // nothing is known of what exists here
				}
				size := r.Find("command:local:Command", "gateway-size")
				if document := size.Inputs["stdin"].StringValue(); !strings.Contains(document, found) {
					t.Errorf("deployed is %s, want %s", document, found)
				}
				if tags := tagsOf(t, r); len(tags) != 1 || tags["gateway-tag-0.6.19"] == "" {
					t.Errorf("published are %v", tags)
				}
			})
		}
	}
	for _, test := range []struct {
		name    string
		key     string
		build   attest.Build
		want    string
		sign    bool
		generic bool
	}{
		{name: "not signed", want: "it is not signed by a key that is trusted (it has 0 signatures)", sign: true},
		{name: "signed by another key", key: foreign, build: attest.Build{Source: source, Version: "0.6.19"}, want: "none of the 1 keys", sign: true},
		{name: "of another commit", key: private, build: attest.Build{Source: source, Version: "0.6.19", Commit: strings.Repeat("1", 40)},
			want: `it was built from the commit "` + strings.Repeat("1", 40) + `", while clawft:image.ref `, sign: true},
		{name: "of another version", key: private, build: attest.Build{Source: source, Version: "0.6.18"}, want: "it was built as version 0.6.18", sign: true},
		{name: "unsigned, of another commit", want: `it was built from the commit "` + strings.Repeat("2", 40) + `"`},
	} {
		for _, preview := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, preview %v", test.name, preview), func(t *testing.T) {
				r := recordedStack(t, "prod")
				r.Preview = preview
				found := publish(t, "0.6.19", strings.Repeat("2", 40))
				if test.key != "" {
					attested(t, found, test.key, test.build)
				}
				if test.sign {
					r.Config["clawft:signingKey"] = private
					r.SecretKeys = append(r.SecretKeys, "clawft:signingKey")
				} else {
					setPath(t, r, "clawft:image", "sign", false)
				}
				left(r, map[string]any{"built": found})
				err := r.Run(Deploy)
				if err == nil {
					t.Fatal("it was deployed")
				}
				for _, want := range []string{test.want, published + ":0.6.19", found, "raise clawft:version", "clawft:image.revision", "clawft:image.digest " + found} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("got %v, want %q in it", err, want)
					}
				}
				for _, registered := range r.Resources() {
					if registered.Type != stackReference {
						t.Errorf("%s %s was registered", registered.Type, registered.Name)
					}
				}
			})
		}
	}
}

// A rebuild on purpose uses nothing of the build before it, and moves no tag of a
// version.
func TestRebuild(t *testing.T) {
	r := recordedStack(t, "prod")
	publish(t, "0.6.19", strings.Repeat("2", 40))
	setPath(t, r, "clawft:image", "revision", 1)
	if err := r.Run(Deploy); err != nil {
		t.Fatal(err)
	}
	build := r.Find("docker-build:index:Image", "gateway-build")
	if !build.Inputs["noCache"].BoolValue() {
		t.Error("layers of the earlier build are used")
	}
	inputs, err := json.Marshal(build.Inputs.Mappable())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"org.opencontainers.image.version":"0.6.19-r1"`, `"VERSION":"0.6.19"`} {
		if !strings.Contains(string(inputs), want) {
			t.Errorf("the build lacks %s: %s", want, inputs)
		}
	}
	var tags []string
	for _, tag := range tagsOf(t, r) {
		tags = append(tags, strings.TrimPrefix(tag, published+":"))
	}
	slices.Sort(tags)
	if want := []string{"0.6", "0.6.19-r1", "latest"}; !slices.Equal(tags, want) {
		t.Errorf("published are %v, want %v", tags, want)
	}
	if release := r.Find("command:remote:Command", "gw-1-release"); !strings.Contains(release.Inputs["create"].StringValue(), "0.6.19 ") {
		t.Errorf("the hosts are told to expect %s", release.Inputs["create"].StringValue())
	}
}

// ref is the commit that a recorded stack builds.
func ref(t *testing.T, r *recorder.Recorder) string {
	t.Helper()
	var image struct{ Ref string }
	if err := json.Unmarshal([]byte(r.Config["clawft:image"]), &image); err != nil {
		t.Fatal(err)
	}
	return image.Ref
}

// GHCR refuses to say anything of a package that does not exist; Docker Hub gives
// a token without rights; others answer that there is none. To whom may push, it
// is all the same: nothing is published yet.
func TestFirstPublication(t *testing.T) {
	for _, test := range []struct {
		name   string
		list   int
		code   string
		upload int
		// want is a part of the error; without one the publication works.
		want string
	}{
		{"GHCR", http.StatusForbidden, "DENIED", http.StatusAccepted, ""},
		{"Docker Hub", http.StatusUnauthorized, "UNAUTHORIZED", http.StatusAccepted, ""},
		{"distribution", http.StatusNotFound, "NAME_UNKNOWN", http.StatusAccepted, ""},
		{"Harbor", http.StatusNotFound, "NOT_FOUND", http.StatusAccepted, ""},
		{"GHCR without the right", http.StatusForbidden, "DENIED", http.StatusForbidden, "may be pushed to"},
		{"Docker Hub without the right", http.StatusUnauthorized, "UNAUTHORIZED", http.StatusUnauthorized, "may be pushed to"},
		{"Harbor without the project", http.StatusNotFound, "NOT_FOUND", http.StatusForbidden, "may be pushed to"},
		{"ECR, where it has to be created", http.StatusNotFound, "NAME_UNKNOWN", http.StatusNotFound, "to be created before anything is pushed"},
		{"broken", http.StatusTeapot, "UNKNOWN", http.StatusAccepted, "418"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := recordedStack(t, "prod")
			serveWith(t, firstOf(test.list, test.code, test.upload))
			err := r.Run(Deploy)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), published) {
					t.Errorf("got %v, want an error with %q and the repository", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tags := tagsOf(t, r); len(tags) != 3 {
				t.Errorf("published are %v, want 0.6.19, 0.6 and latest", tags)
			}
		})
	}
}

// firstOf is a registry without a repository, with tokens as GHCR and Docker Hub
// have them.
func firstOf(list int, code string, upload int) http.Handler {
	answer := func(w http.ResponseWriter, status int) {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://ghcr.io/token",service="test",error="insufficient_scope"`)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"as %d"}]}`, code, status)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		switch {
		case request.URL.Path == "/token":
			fmt.Fprint(w, `{"token":"t"}`)
		case request.Header.Get("Authorization") != "Bearer t":
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://ghcr.io/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		case request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/blobs/uploads/"):
			if upload == http.StatusAccepted {
				w.Header().Set("Location", "/v2/clawft/clawft/blobs/uploads/1")
				w.WriteHeader(upload)
				return
			}
			answer(w, upload)
		case request.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case request.URL.Path == "/v2/":
			w.WriteHeader(http.StatusOK)
		default:
			answer(w, list)
		}
	})
}
