package pipeline

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/mod/semver"
	"gopkg.in/yaml.v3"
)

// stackSchema is for editors, which complete and check Pulumi.<stack>.yaml by
// it. Write it anew with: go test ./pipeline -update
var stackSchema = filepath.Join(root, "config", "stack.schema.json")

func TestStackSchemaIsUpToDate(t *testing.T) {
	text, err := json.MarshalIndent(renderStackSchema(parseComments(t)), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, stackSchema, string(text)+"\n")
}

func renderStackSchema(comments comments) map[string]any {
	keys := map[string]any{}
	names := []string{}
	all := reflect.TypeFor[settings]()
	for i := range all.NumField() {
		field := all.Field(i)
		key := "clawft:" + configKey(field)
		value := fieldSchema(comments, field)
		value["description"] = comments.of("settings", field.Name)
		keys[key], names = value, append(names, key)
	}
	return map[string]any{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Stack of the clawft gateway's delivery pipeline",
		"description": "Made from the types in pipeline/.",
		"type":        "object",
		"properties": map[string]any{
			"config": map[string]any{
				"type":       "object",
				"properties": keys,
				// Other namespaces are the providers'.
				"propertyNames": map[string]any{"anyOf": []any{
					map[string]any{"enum": names},
					map[string]any{"not": map[string]any{"pattern": "^clawft:"}},
				}},
			},
		},
	}
}

// encrypted is what `pulumi config set --secret` writes.
func encrypted() map[string]any {
	return map[string]any{
		"type":                 "object",
		"properties":           map[string]any{"secure": map[string]any{"type": "string"}},
		"required":             []string{"secure"},
		"additionalProperties": false,
	}
}

func fieldSchema(comments comments, field reflect.StructField) map[string]any {
	if field.Tag.Get("secret") == "true" {
		if field.Type.Kind() == reflect.Map {
			return map[string]any{"type": "object", "additionalProperties": encrypted()}
		}
		return encrypted()
	}
	value := typeSchema(comments, field.Type)
	if text, ok := field.Tag.Lookup("default"); ok {
		filled := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Value", Type: field.Type, Tag: field.Tag}})).Elem()
		setDefaults(filled)
		value["default"] = filled.Field(0).Interface()
		if field.Type.Kind() == reflect.String {
			value["default"] = text
		}
	}
	return value
}

func typeSchema(comments comments, of reflect.Type) map[string]any {
	if of == reflect.TypeFor[map[string]any]() {
		return map[string]any{"$ref": "gateway/schemas/" + newestSchema() + ".json"}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return typeSchema(comments, of.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": typeSchema(comments, of.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": typeSchema(comments, of.Elem())}
	case reflect.Struct:
		properties := map[string]any{}
		for i := range of.NumField() {
			field := of.Field(i)
			key := configKey(field)
			if key == "-" {
				continue
			}
			value := fieldSchema(comments, field)
			value["description"] = comments.of(of.Name(), field.Name)
			properties[key] = value
		}
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	}
	return map[string]any{"type": typeName(of)}
}

// newestSchema is the version of the newest schema of the gateway's config.json.
func newestSchema() string {
	files, _ := filepath.Glob(filepath.Join(root, "config", "gateway", "schemas", "*.json"))
	versions := make([]string, len(files))
	for i, file := range files {
		versions[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return slices.MaxFunc(versions, func(a, b string) int { return semver.Compare("v"+a, "v"+b) })
}

func TestStackSchemaChecks(t *testing.T) {
	checker, err := jsonschema.NewCompiler().Compile(stackSchema)
	if err != nil {
		t.Fatal(err)
	}
	stacks, err := filepath.Glob(filepath.Join(root, "Pulumi.*.yaml"))
	if err != nil || len(stacks) == 0 {
		t.Fatalf("finding the stacks: %v, %v", stacks, err)
	}
	for _, path := range append(stacks, filepath.Join(root, "pipeline", "testdata", "everything.yaml")) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := checker.Validate(asJSON(t, string(text))); err != nil {
				t.Error(err)
			}
			if head := "# yaml-language-server: $schema="; filepath.Dir(path) == root && !strings.Contains(string(text), head+"config/stack.schema.json\n") {
				t.Errorf("it does not name its schema; want the line %sconfig/stack.schema.json", head)
			}
		})
	}
	for name, text := range map[string]string{
		"an unknown key":            `config: {"clawft:gatway": {}}`,
		"an unknown key below":      `config: {"clawft:gateway": {memory: 512}}`,
		"a wrong type":              `config: {"clawft:gateway": {memoryMiB: "512"}}`,
		"a secret in plain text":    `config: {"clawft:secrets": {A: plain}}`,
		"a key in plain text":       `config: {"clawft:sshPrivateKey": plain}`,
		"a value of the gateway's":  `config: {"clawft:gateway": {config: {pipeline: {scorer: best}}}}`,
		"a key that the stack sets": `config: {"clawft:gateway": {config: {gateway: {apiPort: 1}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if checker.Validate(asJSON(t, text)) == nil {
				t.Errorf("%s is taken", text)
			}
		})
	}
	if err := checker.Validate(asJSON(t, `config: {"hcloud:token": {secure: x}, "clawft:version": 0.6.19}`)); err != nil {
		t.Errorf("keys of the providers are refused: %v", err)
	}
}

func asJSON(t *testing.T, text string) any {
	t.Helper()
	var document any
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	return value
}
