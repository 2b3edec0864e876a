package pipeline

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/clawft/infra/internal/recorder"
)

const otherStack = "clawft/clawft/staging"

// promoting returns the prod stack, promoting from one with the given outputs.
func promoting(t *testing.T, outputs map[string]any) *recorder.Recorder {
	t.Helper()
	r := recordedStack(t, "prod")
	for key, value := range map[string]any{"source": "", "ref": "", "publish": false, "promoteFrom": otherStack} {
		setPath(t, r, "clawft:image", key, value)
	}
	r.Outputs["pulumi:pulumi:StackReference"] = func(resource.PropertyMap) resource.PropertyMap {
		return resource.NewPropertyMapFromMap(map[string]any{"outputs": outputs})
	}
	return r
}

func TestPromotion(t *testing.T) {
	r := promoting(t, map[string]any{"image": published + "@" + digest, "version": "0.6.19", "gateways": map[string]any{}})
	if err := r.Run(Deploy); err != nil {
		t.Fatal(err)
	}
	if reference := r.Find("pulumi:pulumi:StackReference", otherStack); reference == nil {
		t.Error("the other stack was not asked")
	}
	for _, registered := range r.Resources() {
		if strings.HasPrefix(registered.Type, "docker-build:") || registered.Type == "command:local:Command" {
			t.Errorf("%s %s was registered: a promoted image is neither built nor proven again", registered.Type, registered.Name)
		}
	}
	for _, name := range []string{"gw-1-release", "gw-2-release"} {
		stdin := r.Find("command:remote:Command", name).Inputs["stdin"].SecretValue().Element.StringValue()
		if !strings.Contains(stdin, published+"@"+digest) {
			t.Errorf("%s does not deploy what the other stack runs: %s", name, stdin)
		}
	}
}

// What another stack's hosts demand of an image, this one's demand too.
func TestPromotedImagesAreSigned(t *testing.T) {
	_, theirs := signingKeyPair(t)
	_, ours := signingKeyPair(t)
	for _, test := range []struct {
		name       string
		publicKeys []any
		want       string
	}{
		{"by who built it", nil, theirs},
		{"by whom this stack trusts", []any{ours}, ours},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := promoting(t, map[string]any{"image": published + "@" + digest, "version": "0.6.19", "publicKeys": []any{theirs}})
			if test.publicKeys != nil {
				setPath(t, r, "clawft:image", "publicKeys", test.publicKeys)
			}
			if err := r.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			stdin := r.Find("command:local:Command", "gateway-signed").Inputs["stdin"].StringValue()
			var document struct{ Keys []string }
			if err := json.Unmarshal([]byte(stdin), &document); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(document.Keys, []string{test.want}) {
				t.Errorf("demanded is a signature by %q, want %q", document.Keys, test.want)
			}
			if !waitsFor(t, r, "command:remote:Command", "gw-1-release", "stdin", "gateway-signed") {
				t.Error("it is deployed without that signature")
			}
		})
	}
}

func TestPromotedImagesArePublished(t *testing.T) {
	r := promoting(t, map[string]any{"image": published + "@" + digest, "version": "0.6.19"})
	setPath(t, r, "clawft:image", "publish", true)
	if err := r.Run(Deploy); err != nil {
		t.Fatal(err)
	}
	if got := tagsOf(t, r); len(got) != 3 {
		t.Errorf("published are %v, want 0.6.19, 0.6 and latest", got)
	}
	if !waitsFor(t, r, "docker-build:index:Index", "gateway-tag-latest", "sources", "gateway-unpublished") {
		t.Error("it is published without proof")
	}
}

func TestWrongPromotions(t *testing.T) {
	image := published + "@" + digest
	for _, test := range []struct {
		name    string
		outputs map[string]any
		want    []string
	}{
		{"never deployed", map[string]any{}, []string{"stack " + otherStack + ` has no output "image"`, "pulumi up --stack " + otherStack}},
		{"no version", map[string]any{"image": image}, []string{`has no output "version"`}},
		{"another version", map[string]any{"image": image, "version": "0.6.18"}, []string{
			"clawft:version is 0.6.19", "runs 0.6.18", "set clawft:version to 0.6.18",
		}},
		{"another repository", map[string]any{"image": "ghcr.io/other/clawft@" + digest, "version": "0.6.19"}, []string{
			"clawft:image.repository is " + published, "runs an image of ghcr.io/other/clawft",
		}},
		{"a tag", map[string]any{"image": published + ":latest", "version": "0.6.19"}, []string{
			`"` + published + `:latest", which is no image by digest`,
		}},
		{"something else", map[string]any{"image": 17, "version": "0.6.19"}, []string{`has no output "image"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := promoting(t, test.outputs)
			err := r.Run(Deploy)
			if err == nil {
				t.Fatal("it was promoted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			for _, registered := range r.Resources() {
				if strings.HasPrefix(registered.Type, "hcloud:") || strings.HasPrefix(registered.Type, "command:") {
					t.Errorf("%s %s was registered", registered.Type, registered.Name)
				}
			}
		})
	}
}
