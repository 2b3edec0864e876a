package components

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

func publicationOf(r *recorder.Recorder, change func(*PublicationArgs)) error {
	return r.Run(func(ctx *pulumi.Context) error {
		args := &PublicationArgs{
			Repository: "ghcr.io/clawft/clawft",
			Digest:     pulumi.String(builtDigest),
			Tags:       []string{"0.6.19", "0.6", "latest"},
		}
		change(args)
		_, err := NewPublication(ctx, "gateway", args)
		return err
	})
}

func TestPublicationTagsTheIndexItself(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		if err := publicationOf(r, func(*PublicationArgs) {}); err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"0.6.19", "0.6", "latest"} {
			index := mustFind(t, r, "docker-build:index:Index", "gateway-tag-"+tag)
			wantInputs(t, index, map[string]string{
				"tag": `"ghcr.io/clawft/clawft:` + tag + `"`,
				// A second source would make a new index, with a digest that nobody tested.
				"sources":  `["ghcr.io/clawft/clawft@` + builtDigest + `"]`,
				"push":     "true",
				"registry": "null",
			})
			if !index.Request.GetRetainOnDelete() {
				t.Errorf("deleting tag %s from the stack would delete the image with all its tags", tag)
			}
		}
	})
}

func TestPublicationKeepsTheLoginSecret(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		err := publicationOf(r, func(args *PublicationArgs) {
			args.PushCredentials = &RegistryCredentials{
				Server: "ghcr.io", Username: "bot", Password: pulumi.ToSecret(pulumi.String("canary")).(pulumi.StringOutput),
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		wantInputs(t, mustFind(t, r, "docker-build:index:Index", "gateway-tag-0.6"), map[string]string{
			"registry.address": `"ghcr.io"`, "registry.username": `"bot"`, "registry.password": `"canary"`,
		})
		wantNoPlainText(t, r, "canary")
	})
}

func TestPublicationOfNothing(t *testing.T) {
	if err := publicationOf(newRecorder(t), func(args *PublicationArgs) { args.Tags = nil }); err == nil {
		t.Error("an image was published under no tag at all")
	}
}
