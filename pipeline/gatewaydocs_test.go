package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/clawft/infra/config/gateway"
)

// newest is a version of the gateway that is newer than every schema.
const newest = "9999.0.0"

// gatewayDocs are the rows of docs/config.md about the gateway's own config.json.
type gatewayDocs struct {
	root map[string]any
	// seen has where the keys of a shared definition are described.
	seen map[string]string
}

func gatewayRows(t *testing.T, prefix string) []string {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(gateway.SchemaFor(newest), &root); err != nil {
		t.Fatal(err)
	}
	docs := gatewayDocs{root, map[string]string{}}
	return docs.rows(prefix, root)
}

func (d gatewayDocs) rows(prefix string, schema map[string]any) []string {
	properties, _ := schema["properties"].(map[string]any)
	var rows []string
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		property := properties[key].(map[string]any)
		description, _ := property["description"].(string)
		if description == "" { // refused, or without effect
			continue
		}
		path := prefix + "." + key
		target, suffix, reference := d.target(property)
		first, again := d.seen[reference]
		again = again && reference != "" && target["properties"] != nil
		if again {
			description += " Keys as in `" + first + "`."
		}
		if !again {
			d.seen[reference] = path + suffix
		}
		if warning, ok := property["x-warning"].(string); ok {
			description += " " + strings.ToUpper(warning[:1]) + warning[1:] + "."
		}
		defaultValue := ""
		if value, ok := property["default"]; ok {
			defaultValue = fmt.Sprintf("`%v`", value)
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", path, d.typeName(property), defaultValue, description))
		if !again {
			rows = append(rows, d.rows(path+suffix, target)...)
		}
	}
	return rows
}

// resolve follows a $ref into the schema's definitions.
func (d gatewayDocs) resolve(schema map[string]any) (map[string]any, string) {
	reference, ok := schema["$ref"].(string)
	if !ok {
		return schema, ""
	}
	return d.root["$defs"].(map[string]any)[strings.TrimPrefix(reference, "#/$defs/")].(map[string]any), reference
}

// target is what has the keys below a property: itself, or the elements of a
// list or of an object of names.
func (d gatewayDocs) target(property map[string]any) (target map[string]any, suffix, reference string) {
	target, reference = d.resolve(property)
	if items, ok := target["items"].(map[string]any); ok {
		target, reference = d.resolve(items)
		suffix = "[]"
	} else if names, ok := target["additionalProperties"].(map[string]any); ok {
		target, reference = d.resolve(names)
		suffix = ".NAME"
	}
	return target, suffix, reference
}

func (d gatewayDocs) typeName(property map[string]any) string {
	resolved, _ := d.resolve(property)
	if options, ok := resolved["enum"].([]any); ok {
		words := make([]string, len(options))
		for i, option := range options {
			words[i] = fmt.Sprintf("`%v`", option)
		}
		return strings.Join(words, ", ")
	}
	name, _ := resolved["type"].(string)
	switch name {
	case "array":
		if items, ok := resolved["items"].(map[string]any); ok {
			return "list of " + d.typeName(items) + "s"
		}
	case "object":
		if names, ok := resolved["additionalProperties"].(map[string]any); ok {
			return "object of " + d.typeName(names) + "s"
		}
	case "integer", "number":
		low, lowest := resolved["minimum"].(float64)
		high, highest := resolved["maximum"].(float64)
		switch {
		case lowest && highest:
			return fmt.Sprintf("%s, %.0f to %.0f", name, low, high)
		case lowest:
			return fmt.Sprintf("%s, from %.0f", name, low)
		}
	}
	return name
}
