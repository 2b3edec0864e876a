package attest

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/clawft/infra/gate/proof"
	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/internal/testregistry"
	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/signature"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// pushed puts an image for two platforms into a registry of its own.
func pushed(t *testing.T) (*registry.Repository, proof.Image) {
	t.Helper()
	path, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]v1.Image{}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} {
		if images[platform], err = crane.Image(map[string][]byte{"usr/local/bin/weft": program, "about": []byte(platform)}); err != nil {
			t.Fatal(err)
		}
	}
	repository := testregistry.New(t)
	digest := testregistry.Push(t, repository, "0.6.19", testregistry.Index(images))
	opened, err := registry.Open(repository, nil)
	if err != nil {
		t.Fatal(err)
	}
	return opened, proof.Image{Repository: repository, Digest: digest}
}

func attested(t *testing.T, attest Attest) signature.Proof {
	t.Helper()
	text, err := attest.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got signature.Proof
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "PRIVATE") {
		t.Errorf("it prints the private key: %s", text)
	}
	return got
}

func TestAttest(t *testing.T) {
	repository, image := pushed(t)
	key, private := testkey.New(t)
	public := key.Public()
	t.Setenv("GITHUB_ACTIONS", "")
	attest := Attest{Image: image, Key: private, Build: Build{
		Source: "https://github.com/weave-logic-ai/clawft.git", Ref: "v0.6.19", Commit: commit, Version: "0.6.19",
		Dockerfile: strings.Repeat("d", 64), Platforms: []string{"linux/amd64", "linux/arm64"},
	}}

	got := attested(t, attest)
	if !slices.Equal(got.Keys, []string{public.String()}) {
		t.Errorf("the keys are %q, want %q", got.Keys, public)
	}
	if err := got.Verify(t.Context(), image.Digest, public); err != nil {
		t.Errorf("its own signature: %v", err)
	}

	statements, err := Statements(t.Context(), repository, image.Digest, public)
	if err != nil {
		t.Fatal(err)
	}
	if len(statements) != 2 || find(statements, BillOfMaterials) == nil || find(statements, Provenance) == nil {
		t.Fatalf("attested is %+v, want a bill of materials and provenance", statements)
	}
	read, err := repository.Image(t.Context(), image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	content, _ := read.For("linux/arm64")
	own, err := content.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		for _, digest := range []string{image.Digest, own.String()} {
			if !statement.about(digest) {
				t.Errorf("%s is not about %s: %+v", statement.PredicateType, digest, statement.Subject)
			}
		}
		if statement.about("sha256:" + strings.Repeat("1", 64)) {
			t.Errorf("%s is about everything", statement.PredicateType)
		}
	}

	// What is there is not made again, by whomever it is run once more.
	t.Setenv("GITHUB_ACTIONS", "true")
	if again := attested(t, attest); !reflect.DeepEqual(again, got) {
		t.Errorf("a second run signs again: %+v, and %+v before", again, got)
	}
	if again, err := Statements(t.Context(), repository, image.Digest, public); err != nil || !reflect.DeepEqual(again, statements) {
		t.Errorf("a second run attests again: %+v, %v", again, err)
	}

	// Another key signs beside it, and says the same: who runs this now need not have
	// built it.
	otherKey, otherPrivate := testkey.New(t)
	other := otherKey.Public()
	attest.Key, attest.Keys = otherPrivate, []string{other.String(), public.String()}
	attest.Build.Dockerfile = strings.Repeat("e", 64)
	if rotated := attested(t, attest); !slices.Equal(rotated.Keys, attest.Keys) || rotated.Verify(t.Context(), image.Digest, other) != nil {
		t.Errorf("a new key's signature is %+v", rotated)
	}
	said, err := Statements(t.Context(), repository, image.Digest, other)
	if err != nil || !reflect.DeepEqual(said, statements) {
		t.Errorf("a new key says %+v, %v; want %+v", said, err, statements)
	}
	for _, key := range []signature.PublicKey{public, other} {
		if _, build, err := Signed(t.Context(), repository, image.Digest, key); err != nil || build == nil || build.Commit != commit {
			t.Errorf("the provenance is %+v, %v", build, err)
		}
	}
	signatures, err := repository.Signatures(t.Context(), image.Digest)
	if err != nil || len(signatures) != 2 {
		t.Errorf("signatures are %+v, %v; want two", signatures, err)
	}
	for _, key := range []signature.PublicKey{public, other} {
		if _, err := signature.Find(t.Context(), signatures, image.Digest, key); err != nil {
			t.Error(err)
		}
	}
}

func TestProvenance(t *testing.T) {
	for _, test := range []struct {
		name  string
		build Build
		by    run
		want  string
	}{
		{"a tag", Build{Source: "https://github.com/x/y.git", Ref: "v0.6.19", Commit: commit, Version: "0.6.19", Dockerfile: "dd", Platforms: []string{"linux/arm64"}},
			run{builder: "https://github.com/x/y/.github/workflows/release.yml@refs/tags/v0.6.19", invocation: "https://github.com/x/y/actions/runs/1/attempts/2"},
			`{"buildDefinition":{"buildType":"` + buildType + `","externalParameters":{"source":"https://github.com/x/y.git","ref":"v0.6.19",` +
				`"commit":"` + commit + `","version":"0.6.19","dockerfile":"dd","platforms":["linux/arm64"]},"resolvedDependencies":[` +
				`{"name":"Dockerfile","digest":{"sha256":"dd"}},{"name":"source","uri":"git+https://github.com/x/y.git@` + commit +
				`","digest":{"gitCommit":"` + commit + `"}}]},"runDetails":{"builder":{"id":"https://github.com/x/y/.github/workflows/release.yml@refs/tags/v0.6.19"},` +
				`"metadata":{"invocationId":"https://github.com/x/y/actions/runs/1/attempts/2"}}}`},
		// A directory has no commit that one could look up.
		{"a directory", Build{Source: "../clawft", Version: "0.6.19", Dockerfile: "dd", Platforms: []string{"linux/amd64"}, Args: map[string]string{"A": "b"}},
			run{builder: localBuilder},
			`{"buildDefinition":{"buildType":"` + buildType + `","externalParameters":{"source":"../clawft","version":"0.6.19","dockerfile":"dd",` +
				`"platforms":["linux/amd64"],"args":{"A":"b"}},"resolvedDependencies":[{"name":"Dockerfile","digest":{"sha256":"dd"}}]},` +
				`"runDetails":{"builder":{"id":"` + localBuilder + `"},"metadata":{}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, err := json.Marshal(test.build.provenance(test.by))
			if err != nil {
				t.Fatal(err)
			}
			if string(text) != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
		})
	}
}

func TestThisRun(t *testing.T) {
	t.Setenv("GITHUB_ACTIONS", "")
	if got := thisRun(); got != (run{builder: localBuilder}) {
		t.Errorf("outside of Actions the run is %+v", got)
	}
	for name, value := range map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "x/y",
		"GITHUB_WORKFLOW_REF": "x/y/.github/workflows/release.yml@refs/tags/v1", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "2",
	} {
		t.Setenv(name, value)
	}
	want := run{"https://github.com/x/y/.github/workflows/release.yml@refs/tags/v1", "https://github.com/x/y/actions/runs/7/attempts/2"}
	if got := thisRun(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Called from x/y, where the run is.
	t.Setenv("CALLED_WORKFLOW_REF", "clawft/infra/.github/workflows/release.yml@"+commit)
	want.builder = "https://github.com/clawft/infra/.github/workflows/release.yml@" + commit
	if got := thisRun(); got != want {
		t.Errorf("called, got %+v, want %+v", got, want)
	}
}

// What strangers attach counts for nothing.
func TestStatementsOfOthers(t *testing.T) {
	repository, image := pushed(t)
	key, _ := testkey.New(t)
	public := key.Public()
	_, strangers := testkey.New(t)
	attested(t, Attest{Image: image, Key: strangers})
	for _, attachment := range []registry.Attachment{
		{MediaType: envelopeType, Content: []byte("not JSON")},
		{MediaType: "text/plain", Content: []byte(`{"payloadType":"` + payloadType + `"}`)},
	} {
		if err := repository.Attach(t.Context(), image.Digest, registry.Attestations, attachment); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Statements(t.Context(), repository, image.Digest, public); err != nil || got != nil {
		t.Errorf("statements are %+v, %v; want none", got, err)
	}
}

func TestAttestRefuses(t *testing.T) {
	_, image := pushed(t)
	_, private := testkey.New(t)
	missing := image
	missing.Digest = "sha256:" + strings.Repeat("1", 64)
	for _, test := range []struct {
		name   string
		attest Attest
		want   string
	}{
		{"no key", Attest{Image: image}, "clawft:signingKey"},
		{"no image", Attest{Image: missing, Key: private}, "the registry does not have it"},
		{"no repository", Attest{Image: proof.Image{Repository: "nowhere"}, Key: private}, `the repository "nowhere"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := test.attest.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, %v; want an error with %q", found, err, test.want)
			}
		})
	}
}
