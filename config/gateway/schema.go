// Package gateway knows the gateway's own config.json: what may stand in it, as
// a JSON Schema per version of the gateway, and the few keys that the pipeline
// sets itself.
//
// A schema is the one of the version in its name and of all later ones, up to
// the next. A key that it does not know is passed on with a warning, so that a
// new version of the gateway can be configured before this repository knows it;
// a value that it knows to be wrong is a problem. The gateway has the last word
// when a deployment starts it before the swap.
//
// Beside the standard's keywords, schemas use:
//
//	x-given     what a problem says was given, in place of the value
//	x-want      what a problem says would be right
//	x-warning   what to warn about where the value is given
//	x-names     the keys below are names: "kept" where they must not be rewritten
//	            by the gateway, "headers" where they may only lose capital letters
//	            and must not be those of secrets
//	x-open      nothing below is known, nor warned about
//	x-variable  the value is the name of an environment variable
//	x-model     the value is a model, as provider/model
package gateway

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/mod/semver"
)

//go:embed schemas/*.json
var schemas embed.FS

// Sources are the files that the program embeds here.
func Sources() fs.FS { return schemas }

// schema is what is known of the config.json of one version and its successors.
type schema struct {
	text     []byte
	root     node
	compiled *jsonschema.Schema
}

// SchemaFor returns the text of the JSON Schema for a version of the gateway,
// such as "0.6.19".
func SchemaFor(version string) json.RawMessage { return schemaFor(version).text }

func schemaFor(version string) *schema { return newest(loaded(), version) }

// newest is the newest schema that is not newer than the version. A version that
// is older than all, or is none, gets the oldest.
func newest(all []versioned, version string) *schema {
	chosen := all[0]
	for _, candidate := range all {
		if semver.Compare("v"+candidate.version, "v"+version) <= 0 {
			chosen = candidate
		}
	}
	return chosen.schema
}

type versioned struct {
	version string
	schema  *schema
}

// loaded are all schemas, oldest first. They are part of the program, so that
// one which cannot be read is a fault of the program.
var loaded = sync.OnceValue(func() []versioned {
	entries, err := schemas.ReadDir("schemas")
	if err != nil {
		panic(fmt.Sprintf("listing the gateway's schemas: %v", err))
	}
	var all []versioned
	for _, entry := range entries {
		text, err := schemas.ReadFile(path.Join("schemas", entry.Name()))
		if err != nil {
			panic(fmt.Sprintf("reading a schema of the gateway: %v", err))
		}
		parsed, err := parseSchema(text)
		if err != nil {
			panic(fmt.Sprintf("reading %s: %v", entry.Name(), err))
		}
		all = append(all, versioned{strings.TrimSuffix(entry.Name(), ".json"), parsed})
	}
	slices.SortFunc(all, func(a, b versioned) int { return semver.Compare("v"+a.version, "v"+b.version) })
	return all
})

func parseSchema(text []byte) (*schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("parsing the schema: %w", err)
	}
	root, ok := document.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the schema is %T and not an object", document)
	}
	const location = "schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(location, document); err != nil {
		return nil, fmt.Errorf("adding the schema: %w", err)
	}
	compiled, err := compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	return &schema{text: text, root: node{root, root}, compiled: compiled}, nil
}
