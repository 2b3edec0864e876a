package dockerbuild

import (
	"maps"
	"slices"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

func TestDiffImage(t *testing.T) {
	login := func(user, password string) map[string]any {
		return map[string]any{"address": "r", "username": user, "password": password}
	}
	before := map[string]any{
		"context":    map[string]any{"location": "source"},
		"dockerfile": map[string]any{"location": "source/Dockerfile"},
		"push":       true,
		"tags":       []any{"r/n:1"},
		"buildArgs":  map[string]any{"VERSION": "1"},
		"registries": []any{login("u", "p")},
		"secrets":    map[string]any{"token": "s", "key": "k"},
	}
	for _, c := range []struct {
		name   string
		inputs map[string]any // over those before
		change func(t *testing.T, dir string)
		want   []string
	}{
		{name: "nothing"},
		{name: "build argument", inputs: map[string]any{"buildArgs": map[string]any{"VERSION": "2"}}, want: []string{"buildArgs.VERSION"}},
		{name: "unknown build argument", inputs: map[string]any{"buildArgs": map[string]any{"VERSION": property.Computed}},
			want: []string{"buildArgs.VERSION"}},
		{name: "password", inputs: map[string]any{"registries": []any{login("u", "q")}}},
		{name: "user", inputs: map[string]any{"registries": []any{login("v", "p")}}, want: []string{"registries[0]"}},
		{name: "another registry", inputs: map[string]any{"registries": []any{login("u", "p"), login("u", "p")}}, want: []string{"registries"}},
		{name: "secret", inputs: map[string]any{"secrets": map[string]any{"token": "t", "key": "k"}}, want: []string{"secrets.token"}},
		{name: "ignored secret", inputs: map[string]any{
			"secrets": map[string]any{"token": "t", "key": "k"}, "ignoreSecretsInDiffCalculation": []any{"token"},
		}},
		{name: "ignored secret is gone", inputs: map[string]any{
			"secrets": map[string]any{"key": "k"}, "ignoreSecretsInDiffCalculation": []any{"token"},
		}, want: []string{"secrets.token"}},
		{name: "base images to be looked up", inputs: map[string]any{"pull": true}, want: []string{"contextHash", "pull"}},
		{name: "file in the context", change: func(t *testing.T, dir string) { write(t, dir, "source/more", "", 0o644) }, want: []string{"contextHash"}},
		{name: "context that cannot be read", inputs: map[string]any{"context": map[string]any{"location": "absent"}},
			want: []string{"context.location", "contextHash"}},
		{name: "result on disk that is gone", inputs: map[string]any{
			"push": false, "exports": []any{map[string]any{"local": map[string]any{"dest": "absent"}}},
		}, want: []string{"exports", "exports[0]", "push"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			standIn, dir := unserved(t)
			old := properties(before)
			state := old.Set("contextHash", property.New(hashOf(t, dir, old)))
			if c.change != nil {
				c.change(t, dir)
			}
			inputs := maps.Clone(before)
			maps.Copy(inputs, c.inputs)
			diff, err := standIn.Diff(t.Context(), p.DiffRequest{
				ID: "id", Urn: imageURN, State: state, OldInputs: old, Inputs: properties(inputs),
			})
			if err != nil {
				t.Fatal(err)
			}
			got := slices.Sorted(maps.Keys(diff.DetailedDiff))
			if !slices.Equal(got, c.want) || diff.HasChanges != (len(c.want) > 0) {
				t.Errorf("got %q (changes: %t), want %q", got, diff.HasChanges, c.want)
			}
			for path, change := range diff.DetailedDiff {
				if change.Kind == p.AddReplace || change.Kind == p.UpdateReplace || change.Kind == p.DeleteReplace {
					t.Errorf("%s replaces the image; nothing does", path)
				}
			}
		})
	}
}

func TestDiffIndex(t *testing.T) {
	login := func(address, password string) map[string]any {
		return map[string]any{"address": address, "username": "u", "password": password}
	}
	before := map[string]any{"tag": "r/n:1", "sources": []any{"r/n:a"}, "push": true, "registry": login("r", "p")}
	for _, c := range []struct {
		name   string
		inputs map[string]any
		want   map[string]p.DiffKind
	}{
		{"nothing", nil, map[string]p.DiffKind{}},
		{"another tag", map[string]any{"tag": "r/n:2"}, map[string]p.DiffKind{"tag": p.UpdateReplace}},
		{"another source", map[string]any{"sources": []any{"r/n:b"}}, map[string]p.DiffKind{"sources[0]": p.Update}},
		{"password", map[string]any{"registry": login("r", "q")}, map[string]p.DiffKind{}},
		{"another registry", map[string]any{"registry": login("q", "p")}, map[string]p.DiffKind{"registry.address": p.UpdateReplace}},
		{"no login", map[string]any{"registry": nil}, map[string]p.DiffKind{"registry": p.Delete}},
	} {
		t.Run(c.name, func(t *testing.T) {
			standIn, _ := unserved(t)
			inputs := maps.Clone(before)
			maps.Copy(inputs, c.inputs)
			diff, err := standIn.Diff(t.Context(), p.DiffRequest{
				ID: "id", Urn: indexURN, State: properties(before), OldInputs: properties(before), Inputs: properties(inputs),
			})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]p.DiffKind{}
			for path, change := range diff.DetailedDiff {
				got[path] = change.Kind
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func hashOf(t *testing.T, dir string, inputs property.Map) string {
	t.Helper()
	args, err := decodeImage(inputs)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := contextHash(dir, &args)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}
