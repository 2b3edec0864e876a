package dockerbuild

import (
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// TestPreview uses a stand-in without buildx: none of this may build.
func TestPreview(t *testing.T) {
	inputs := properties(map[string]any{
		"context": map[string]any{"location": "source"}, "dockerfile": map[string]any{"location": "source/Dockerfile"},
		"push": true, "tags": []any{"r.example/n:1"}, "buildOnPreview": false,
	})
	state := inputs.
		Set("digest", property.New("sha256:"+zeros)).
		Set("ref", property.New("r.example/n:1@sha256:"+zeros)).
		Set("contextHash", property.New("old"))

	t.Run("create", func(t *testing.T) {
		standIn, _ := unserved(t)
		response, err := standIn.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, output := range []string{"digest", "ref", "contextHash"} {
			if !response.Properties.Get(output).IsComputed() {
				t.Errorf("%s is known before anything is built: %v", output, response.Properties.Get(output))
			}
		}
	})
	t.Run("create from a context that cannot be read", func(t *testing.T) {
		standIn, dir := unserved(t)
		write(t, dir, "source/.dockerignore", "[\n", 0o644)
		_, err := standIn.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: inputs, DryRun: true})
		if err == nil || !strings.Contains(err.Error(), "hashing build context: ") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("update of an input", func(t *testing.T) {
		standIn, _ := unserved(t)
		response, err := standIn.Update(t.Context(), p.UpdateRequest{
			ID: "id", Urn: imageURN, State: state, OldInputs: inputs, DryRun: true,
			Inputs: inputs.Set("target", property.New("runtime")),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, output := range []string{"digest", "ref", "contextHash"} {
			if !response.Properties.Get(output).IsComputed() {
				t.Errorf("%s is known before anything is built: %v", output, response.Properties.Get(output))
			}
		}
	})
	t.Run("update of the context only", func(t *testing.T) {
		standIn, dir := unserved(t)
		response, err := standIn.Update(t.Context(), p.UpdateRequest{
			ID: "id", Urn: imageURN, State: state, OldInputs: inputs, Inputs: inputs, DryRun: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		for output, want := range map[string]string{
			"digest": "", "ref": "r.example/n:1", "contextHash": hashOf(t, dir, inputs),
		} {
			if got := response.Properties.Get(output); !got.IsString() || got.AsString() != want {
				t.Errorf("%s is %v, the plugin says %q", output, got, want)
			}
		}
	})
	t.Run("unknown inputs", func(t *testing.T) {
		standIn, _ := unserved(t)
		unknown := inputs.Set("buildOnPreview", property.New(true)).
			Set("labels", property.New(map[string]property.Value{"version": property.New(property.Computed)}))
		if _, err := standIn.Create(t.Context(), p.CreateRequest{Urn: imageURN, Properties: unknown, DryRun: true}); err != nil {
			t.Errorf("a preview with unknown inputs built: %v", err)
		}
	})
	t.Run("index", func(t *testing.T) {
		standIn, _ := unserved(t)
		response, err := standIn.Create(t.Context(), p.CreateRequest{Urn: indexURN, DryRun: true, Properties: properties(
			map[string]any{"tag": "r/n:1", "sources": []any{property.Computed}, "push": true})})
		if err != nil {
			t.Fatal(err)
		}
		if !response.Properties.Get("ref").IsComputed() {
			t.Errorf("ref is known before anything is pushed: %v", response.Properties.Get("ref"))
		}
	})
}
