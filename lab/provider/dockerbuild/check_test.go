package dockerbuild

import (
	"slices"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

func TestCheckImage(t *testing.T) {
	registryExport := func(options map[string]any) []any { return []any{map[string]any{"registry": options}} }
	for _, c := range []struct {
		name   string
		inputs map[string]any // over an image that is right
		want   []string       // "property: reason"
	}{
		{"right", nil, nil},
		{"unknown input", map[string]any{"repository": "r"}, []string{`repository: unknown property "repository", known are: addHosts, buildArgs, buildOnPreview, builder, cacheFrom, cacheTo, context, dockerfile, exec, exports, ignoreSecretsInDiffCalculation, labels, load, network, noCache, platforms, pull, push, registries, secrets, ssh, tags, target`}},
		{"missing input", map[string]any{"push": nil}, []string{`push: missing required property "push"`}},
		{"two exports", map[string]any{"exports": []any{map[string]any{"raw": "type=oci"}, map[string]any{"raw": "type=tar"}}},
			[]string{"exports: multiple exports require a v0.13 buildkit daemon or newer"}},
		{"export and push", map[string]any{"exports": []any{map[string]any{"raw": "type=oci"}}, "push": true, "tags": []any{"r/n:1"}},
			[]string{"exports: multiple exports require a v0.13 buildkit daemon or newer"}},
		{"push and load", map[string]any{"push": true, "load": true, "tags": []any{"r/n:1"}},
			[]string{"push: simultaneous push and load requires a v0.13 buildkit daemon or newer"}},
		{"push without a tag", map[string]any{"push": true},
			[]string{"exports[0]: at least one tag or export name is needed when pushing to a registry"}},
		{"registry export without a name", map[string]any{"exports": registryExport(map[string]any{"pushByDigest": true})},
			[]string{"exports[0]: at least one tag or export name is needed when pushing to a registry"}},
		{"registry export with a name", map[string]any{"exports": registryExport(map[string]any{"names": []any{"r/n"}})}, nil},
		{"export of two kinds", map[string]any{"exports": []any{map[string]any{"raw": "type=oci", "tar": map[string]any{"dest": "x"}}}},
			[]string{"exports[0]: exports should only specify one export type"}},
		{"export of no kind", map[string]any{"exports": []any{map[string]any{}}}, []string{"exports[0]: type is required for output"}},
		{"raw export without a type", map[string]any{"exports": []any{map[string]any{"raw": "dest=x"}}}, []string{"exports[0]: type is required"}},
		{"raw export that is no list", map[string]any{"exports": []any{map[string]any{"raw": "type=oci,x"}}},
			[]string{`exports[0]: invalid value "x": every part has to be name=value`}},
		{"cache of two kinds", map[string]any{"cacheFrom": []any{map[string]any{"raw": "type=gha", "local": map[string]any{"src": "x"}}}},
			[]string{"cacheFrom[0]: cacheFrom should only specify one cache type"}},
		{"no context", map[string]any{"context": map[string]any{"location": "absent"}}, []string{
			`context.location: "absent": not a valid directory or URL`,
			"dockerfile.location: open DIR/absent/Dockerfile: no such file or directory",
		}},
		{"no Dockerfile", map[string]any{"dockerfile": map[string]any{"location": "absent"}},
			[]string{"dockerfile.location: open DIR/absent: no such file or directory"}},
		{"two Dockerfiles", map[string]any{"dockerfile": map[string]any{"location": "source/Dockerfile", "inline": "FROM scratch"}},
			[]string{`dockerfile: only specify "file" or "inline", not both`}},
		{"Dockerfile with a mistake", map[string]any{"dockerfile": map[string]any{"inline": "FROM scratch\nCOPPY . /"}},
			[]string{"dockerfile.inline: dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)"}},
		{"Dockerfile of another frontend", map[string]any{"dockerfile": map[string]any{"inline": "# syntax=example/frontend\nwhatever"}}, nil},
		{"remote context", map[string]any{"context": map[string]any{"location": "https://example.com/r.git#v1"}}, nil},
		{"unknown platform", map[string]any{"platforms": []any{"linux/amd64", "amd46"}},
			[]string{`platforms[1]: "amd46": unknown operating system or architecture: invalid argument`}},
		{"tag that is none", map[string]any{"tags": []any{"Upper/Case"}},
			[]string{"tags[0]: repository name must be lowercase"}},
		{"not known yet", map[string]any{
			"context": map[string]any{"location": property.Computed}, "tags": []any{property.Computed}, "push": true,
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			standIn, dir := unserved(t)
			inputs := map[string]any{"context": map[string]any{"location": "source"}, "push": false}
			for name, value := range c.inputs {
				inputs[name] = value
			}
			response, err := standIn.Check(t.Context(), p.CheckRequest{Urn: imageURN, Inputs: properties(inputs)})
			if err != nil {
				t.Fatal(err)
			}
			if got := failures(response.Failures, dir); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestCheckIndex(t *testing.T) {
	for _, c := range []struct {
		name   string
		inputs map[string]any
		want   []string
	}{
		{"right", map[string]any{"tag": "r/n:1", "sources": []any{"r/n@sha256:" + zeros}}, nil},
		{"no tag", map[string]any{"sources": []any{"r/n:2"}}, []string{`tag: missing required property "tag"`}},
		{"no sources", map[string]any{"tag": "r/n:1"}, []string{`sources: missing required property "sources"`}},
		{"references that are none", map[string]any{"tag": "r/N:1", "sources": []any{"r/n:1", "r/N:1"}}, []string{
			"target: invalid reference format: repository name (r/N) must be lowercase",
			"refs[1]: invalid reference format: repository name (r/N) must be lowercase",
		}},
		{"not known yet", map[string]any{"tag": "r/n:1", "sources": []any{property.Computed}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			standIn, dir := unserved(t)
			response, err := standIn.Check(t.Context(), p.CheckRequest{Urn: indexURN, Inputs: properties(c.inputs)})
			if err != nil {
				t.Fatal(err)
			}
			if got := failures(response.Failures, dir); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestPasswordsAreSecret covers programs that do not say so themselves.
func TestPasswordsAreSecret(t *testing.T) {
	standIn, _ := unserved(t)
	login := map[string]any{"address": "r", "username": "u", "password": "p"}
	image, err := standIn.Check(t.Context(), p.CheckRequest{Urn: imageURN, Inputs: properties(map[string]any{
		"context": map[string]any{"location": "source"}, "push": false, "registries": []any{login},
		"secrets": map[string]any{"key": "s"},
	})})
	if err != nil {
		t.Fatal(err)
	}
	index, err := standIn.Check(t.Context(), p.CheckRequest{Urn: indexURN, Inputs: properties(map[string]any{
		"tag": "r/n:1", "sources": []any{"r/n:2"}, "registry": login,
	})})
	if err != nil {
		t.Fatal(err)
	}
	for what, value := range map[string]property.Value{
		"an image's password": image.Inputs.Get("registries").AsArray().Get(0).AsMap().Get("password"),
		"an image's secrets":  image.Inputs.Get("secrets"),
		"an index's password": index.Inputs.Get("registry").AsMap().Get("password"),
	} {
		if !value.Secret() {
			t.Errorf("%s is recorded in plain text", what)
		}
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// unserved is a stand-in that can do everything but build.
func unserved(t *testing.T) (p.Provider, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "source/Dockerfile", "FROM scratch\nCOPY . /\n", 0o644)
	return New(Options{Dir: dir}), dir
}

func failures(given []p.CheckFailure, dir string) []string {
	var list []string
	for _, failure := range given {
		list = append(list, failure.Property+": "+strings.ReplaceAll(failure.Reason, dir, "DIR"))
	}
	return list
}
