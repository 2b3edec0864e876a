package dockerbuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// check finds what is wrong with an Image before anything is built, in a
// preview too.
func (i *images) check(_ context.Context, inputs property.Map) []p.CheckFailure {
	args, err := decodeImage(inputs)
	if err != nil {
		return []p.CheckFailure{{Reason: err.Error()}}
	}
	var failures []p.CheckFailure
	fail := func(err error, property string, arguments ...any) {
		failures = append(failures, p.CheckFailure{Property: fmt.Sprintf(property, arguments...), Reason: err.Error()})
	}
	at := func(list string) func(int, error) {
		return func(index int, err error) { fail(err, "%s[%d]", list, index) }
	}

	// The plugin asks the daemon whether it can do better only after it has
	// built something with it.
	several := errors.New("multiple exports require a v0.13 buildkit daemon or newer")
	switch {
	case len(args.Exports) > 1, len(args.Exports) > 0 && (args.Push || args.Load):
		fail(several, "exports")
	case args.Push && args.Load:
		fail(errors.New("simultaneous push and load requires a v0.13 buildkit daemon or newer"), "push")
	}

	if location := args.Context.Location; location != "" && !isRemote(location) && !isDir(within(i.dir, location)) {
		fail(fmt.Errorf("%q: not a valid directory or URL", location), "context.location")
	}
	if property, err := i.checkDockerfile(&args); err != nil {
		fail(err, "%s", property)
	}
	if tags := inputs.Get("tags"); tags.IsArray() && len(args.Tags) == 0 && tags.AsArray().Len() > 0 {
		args.Tags = []string{"unknown:yet"}
	}
	args.exports(at("exports"))
	args.cacheFrom(at("cacheFrom"))
	args.cacheTo(at("cacheTo"))
	for index, platform := range args.Platforms {
		if _, err := platforms.Parse(platform); err != nil {
			at("platforms")(index, err)
		}
	}
	for index, tag := range args.Tags {
		if _, err := reference.Parse(tag); err != nil {
			at("tags")(index, err)
		}
	}
	return failures
}

func (i *images) checkDockerfile(args *imageArgs) (property string, err error) {
	location, inline := args.dockerfile(), args.inline()
	switch {
	case location != "" && inline != "":
		return "dockerfile", errors.New(`only specify "file" or "inline", not both`)
	case inline != "":
		return "dockerfile.inline", parseDockerfile([]byte(inline))
	case location == "" || isRemote(location):
		return "", nil
	}
	content, err := os.ReadFile(within(i.dir, location))
	if err != nil {
		return "dockerfile.location", err
	}
	return "dockerfile.location", parseDockerfile(content)
}

// parseDockerfile leaves a Dockerfile that names a frontend of its own to that
// frontend.
func parseDockerfile(content []byte) error {
	syntax, _, _, _ := parser.DetectSyntax(content)
	if syntax == "" {
		syntax = os.Getenv("BUILDKIT_SYNTAX")
	}
	if syntax != "" && syntax != "docker/dockerfile:1" {
		return nil
	}
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return err
	}
	_, _, err = instructions.Parse(parsed.AST, nil)
	return err
}

// withDigest adds the digest to a tag of a registry: registry/name:tag@digest.
// A tag without a registry stays on the machine and cannot have one.
func withDigest(tag, digest string) (string, bool) {
	named, err := reference.ParseNamed(tag)
	if err != nil {
		return "", false
	}
	return reference.TagNameOnly(named).String() + "@" + strings.TrimSpace(digest), true
}
