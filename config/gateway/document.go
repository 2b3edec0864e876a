package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clawft/infra/internal/nearest"
)

// Finding is something about a value of config.json.
type Finding struct {
	// Path leads to the value as it was given: channels.telegram.tokenEnv.
	Path string
	// Given describes what stands there. It never shows what may be a secret.
	Given string
	// Want says what would be right, and what to do.
	Want string
}

// Mention is a name that stands somewhere in config.json, and where.
type Mention struct{ Path, Name string }

// Document is a config.json that was read against the schema of a version.
type Document struct {
	// Problems are values that cannot work.
	Problems []Finding
	// Warnings are values that the gateway takes but does not use, and keys that
	// the schema does not know.
	Warnings []Finding
	// Variables are the environment variables that the document names.
	Variables []Mention
	// Models are the models that the document names, as provider/model.
	Models []Mention

	schema *schema
	// whole has the schema's spelling of every key that the schema knows, and
	// the other keys as they were given.
	whole map[string]any
	// checked is whole without what the schema does not know.
	checked map[string]any
	// paths has the path as it was given of each value of checked, by its own.
	paths map[string]string
}

// Read checks what a stack gives as the gateway's config.json. Numbers are
// json.Number.
func Read(version string, given map[string]any) *Document {
	d := &Document{schema: schemaFor(version), paths: map[string]string{}}
	whole, checked := d.read(d.schema.root, given, nil, "")
	d.whole, _ = whole.(map[string]any)
	d.checked, _ = checked.(map[string]any)
	d.validate()
	d.checkTiers()
	slices.SortStableFunc(d.Warnings, func(a, b Finding) int { return strings.Compare(a.Path, b.Path) })
	return d
}

// read returns a value in the schema's spelling: whole, and without what the
// schema does not know. here leads to it in the schema's spelling, path as given.
func (d *Document) read(n node, value any, here []string, path string) (whole, checked any) {
	d.paths[strings.Join(here, separator)] = path
	if warning := n.text("x-warning"); warning != "" {
		d.Warnings = append(d.Warnings, Finding{Path: path, Given: "a value", Want: warning})
	}
	if n.is("x-open") {
		return value, value
	}
	switch value := value.(type) {
	case map[string]any:
		return d.readObject(n, value, here, path)
	case []any:
		items, known := n.below(n.get("items"))
		if !known {
			return value, value
		}
		wholes, checkeds := make([]any, len(value)), make([]any, len(value))
		for i, element := range value {
			wholes[i], checkeds[i] = d.read(items, element, append(slices.Clone(here), strconv.Itoa(i)), fmt.Sprintf("%s[%d]", path, i))
		}
		return wholes, checkeds
	case string:
		if n.is("x-variable") {
			d.Variables = append(d.Variables, Mention{path, value})
		}
		if n.is("x-model") {
			d.Models = append(d.Models, Mention{path, value})
		}
	}
	return value, value
}

func (d *Document) readObject(n node, given map[string]any, here []string, path string) (whole, checked map[string]any) {
	whole, checked = map[string]any{}, map[string]any{}
	names, open := n.below(n.get("additionalProperties"))
	for _, key := range slices.Sorted(maps.Keys(given)) {
		at := join(path, key)
		name, property, known := n.known(key)
		switch {
		case known && whole[name] != nil:
			d.Problems = append(d.Problems, Finding{at, "a key that is given twice", "one of its two spellings: the gateway reads both as " + Key(name)})
		case known:
			whole[name], checked[name] = d.read(property, given[key], append(slices.Clone(here), name), at)
		case open:
			d.checkName(n.text("x-names"), key, at)
			whole[key], checked[key] = d.read(names, given[key], append(slices.Clone(here), key), at)
		default:
			whole[key] = given[key]
			d.unknown(n, key, at)
		}
	}
	return whole, checked
}

// secretHeader is the name of an HTTP header whose value is a secret.
var secretHeader = regexp.MustCompile(`(?i)authorization|api-?key|(^|[-_])(key|token|secret|password|credential)s?$`)

// checkName demands a name that the gateway does not rewrite, and a header that
// may stand in a file which is not secret.
func (d *Document) checkName(kind, name, at string) {
	rewritten := Key(name)
	switch {
	case kind == "kept" && rewritten != name:
		d.Problems = append(d.Problems, Finding{at, "a name that the gateway rewrites to " + strconv.Quote(rewritten), "a name in lower case"})
	case kind == "headers" && secretHeader.MatchString(name):
		d.Problems = append(d.Problems, Finding{at, "what looks like a secret", "no secret here, because config.json is not secret"})
	case kind == "headers" && rewritten != strings.ToLower(name):
		d.Problems = append(d.Problems, Finding{at, "a name that the gateway rewrites to " + strconv.Quote(rewritten), strings.ToLower(name)})
	}
}

// separator stands in no key.
const separator = "\x00"

// path is where a value of checked was given.
func (d *Document) path(here ...string) string { return d.paths[strings.Join(here, separator)] }

// unknown warns of a key that is passed on, and refuses one that is probably
// meant to be a key which is refused: its value may be a secret.
func (d *Document) unknown(n node, key, at string) {
	meant := nearest.To(key, slices.Collect(maps.Keys(n.properties())))
	_, property, _ := n.known(meant)
	switch {
	case meant == "":
		d.Warnings = append(d.Warnings, Finding{at, "an unknown key", "no such key is known; it is passed on"})
	case property.refused():
		d.problem(at, "a value", property.text("x-want"))
	default:
		d.Warnings = append(d.Warnings, Finding{at, "an unknown key", "it is passed on; " + strconv.Quote(meant) + " may be meant"})
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Listener is what the pipeline sets in config.json.
type Listener struct {
	// Host is the address that the gateway binds.
	Host string
	// Port is where its API listens.
	Port int
}

// JSON renders config.json: what was given, the defaults that the pipeline
// needs, and the listener. The same document always gives the same text.
func (d *Document) JSON(listener Listener) (json.RawMessage, error) {
	document := maps.Clone(d.whole)
	if document == nil {
		document = map[string]any{}
	}
	agents := block(document, "agents")
	defaults := block(agents, "defaults")
	if _, given := defaults["workspace"]; !given {
		workspace := d.schema.root.at("/properties/agents/properties/defaults/properties/workspace")
		defaults["workspace"] = workspace.text("default")
	}
	service := block(document, "gateway")
	service["host"], service["apiPort"], service["apiEnabled"] = listener.Host, listener.Port, true
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("rendering config.json: %w", err)
	}
	return text, nil
}

// block is a copy of the object under a key, put in its place.
func block(of map[string]any, key string) map[string]any {
	object, _ := of[key].(map[string]any)
	object = maps.Clone(object)
	if object == nil {
		object = map[string]any{}
	}
	of[key] = object
	return object
}
