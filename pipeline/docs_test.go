package pipeline

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// docs/config.md is made from the types of this package. Write it anew with:
// go test ./pipeline -update
func TestConfigIsDocumented(t *testing.T) {
	checkGolden(t, filepath.Join(root, "docs", "config.md"), renderDocs(t, parseComments(t)))
}

// comments are the comments of struct fields, by type and field name.
type comments map[string]string

func (c comments) of(typeName, field string) string { return c[typeName+"."+field] }

func parseComments(t *testing.T) comments {
	t.Helper()
	found := comments{}
	files, err := filepath.Glob(filepath.Join(root, "pipeline", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			spec, ok := node.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if structure, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range structure.Fields.List {
					// What follows the first paragraph is for readers of the code.
					text, _, _ := strings.Cut(field.Doc.Text(), "\n\n")
					for _, name := range field.Names {
						found[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(text), " ")
					}
				}
			}
			return false
		})
	}
	return found
}

const docsHead = `# Configuration

<!-- Made from the types in pipeline/. Write it anew with: go test ./pipeline -update -->

Everything stands under the project's namespace in ` + "`Pulumi.<stack>.yaml`" + `:
` + "`clawft:version`, `clawft:hosts`" + ` and so on. Unknown keys and wrong values stop a run before it
changes anything, and all of them are listed at once.

Secrets are set by ` + "`pulumi config set --secret`" + `, those in objects by path:

    pulumi config set --secret --path 'clawft:secrets.ANTHROPIC_API_KEY'

` + "`hcloud:token` and `github:token`" + ` are the credentials of the two clouds.
`

func renderDocs(t *testing.T, comments comments) string {
	t.Helper()
	var text strings.Builder
	text.WriteString(docsHead)
	all := reflect.TypeFor[settings]()
	for i := range all.NumField() {
		field := all.Field(i)
		key := configKey(field)
		fmt.Fprintf(&text, "\n## %s\n\n%s\n", key, comments.of("settings", field.Name))
		rows := docRows(t, comments, "", field.Type, map[reflect.Type]string{})
		if len(rows) > 0 {
			text.WriteString("\n| key | type | default | |\n|---|---|---|---|\n" + strings.Join(rows, ""))
		}
	}
	return text.String()
}

// docRows are the table's rows for everything below a value. A type is described
// where it is first seen.
func docRows(t *testing.T, comments comments, prefix string, of reflect.Type, seen map[reflect.Type]string) []string {
	t.Helper()
	if of == reflect.TypeFor[map[string]any]() {
		return gatewayRows(t, prefix)
	}
	of, suffix := element(of)
	if of.Kind() != reflect.Struct {
		return nil
	}
	if prefix != "" || suffix == "[]" {
		prefix += suffix
	}
	if prefix != "" {
		prefix += "."
	}
	var rows []string
	for i := range of.NumField() {
		field := of.Field(i)
		key := configKey(field)
		if key == "-" {
			continue
		}
		comment := comments.of(of.Name(), field.Name)
		if comment == "" {
			t.Errorf("%s.%s has no comment", of.Name(), field.Name)
		}
		var below []string
		target, suffix := element(field.Type)
		if first, again := seen[target]; again {
			comment += " Keys as in `" + first + "`."
		} else {
			if target.Kind() == reflect.Struct {
				seen[target] = prefix + key + suffix
			}
			below = docRows(t, comments, prefix+key, field.Type, seen)
		}
		defaultValue := ""
		if value, ok := field.Tag.Lookup("default"); ok {
			defaultValue = "`" + strings.ReplaceAll(value, ",", "`, `") + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", prefix+key, typeName(field.Type), defaultValue, comment))
		rows = append(rows, below...)
	}
	return rows
}

// element looks through pointers, lists and maps.
func element(of reflect.Type) (reflect.Type, string) {
	suffix := ""
	for {
		switch of.Kind() {
		case reflect.Pointer:
			of = of.Elem()
		case reflect.Slice:
			of, suffix = of.Elem(), suffix+"[]"
		case reflect.Map:
			of, suffix = of.Elem(), suffix+".NAME"
		default:
			return of, suffix
		}
	}
}

func typeName(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Pointer:
		return typeName(of.Elem())
	case reflect.Slice:
		return "list of " + typeName(of.Elem()) + "s"
	case reflect.Map:
		if of.Elem().Kind() == reflect.Interface {
			return "object"
		}
		return "object of " + typeName(of.Elem()) + "s"
	case reflect.Struct:
		return "object"
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "boolean"
	}
	return "string"
}
