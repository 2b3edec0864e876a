package pipeline

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// sdk is what the source of a plugin's SDK says.
type sdk struct {
	structs map[string]*ast.StructType
	// args are the names of the arguments' types, by the resource's token.
	args map[string]string
}

// registers finds the token of a resource in the source of its constructor.
var registers = regexp.MustCompile(`ctx\.RegisterResource\("([^"]+)"`)

// readSDK reads the sources of a package in a module that go.mod names.
func readSDK(t *testing.T, directory string) sdk {
	t.Helper()
	read := sdk{structs: map[string]*ast.StructType{}, args: map[string]string{}}
	files, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		resource := registers.FindSubmatch(text)
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if fields, ok := spec.Type.(*ast.StructType); ok {
				read.structs[spec.Name.Name] = fields
				// The exported one has no names of the plugin's.
				if resource != nil && strings.HasSuffix(spec.Name.Name, "Args") && !spec.Name.IsExported() {
					read.args[string(resource[1])] = spec.Name.Name
				}
			}
			return false
		})
	}
	return read
}

// deprecated are the paths of inputs that the SDK marks as deprecated.
func (s sdk) deprecated(typeName string, inputs resource.PropertyMap) []string {
	var found []string
	fields := s.structs[typeName]
	if fields == nil {
		return nil
	}
	for _, field := range fields.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			continue
		}
		name := reflect.StructTag(tag).Get("pulumi")
		value, given := inputs[resource.PropertyKey(name)]
		if !given || value.IsNull() {
			continue
		}
		if strings.Contains(field.Doc.Text(), "Deprecated:") {
			found = append(found, name)
		}
		for _, object := range objects(value) {
			for _, inner := range s.deprecated(elementName(field.Type), object) {
				found = append(found, name+"."+inner)
			}
		}
	}
	return found
}

// objects are those that a value is or lists.
func objects(value resource.PropertyValue) []resource.PropertyMap {
	for value.IsSecret() || value.IsOutput() {
		if value.IsSecret() {
			value = value.SecretValue().Element
		} else {
			value = value.OutputValue().Element
		}
	}
	var all []resource.PropertyMap
	switch {
	case value.IsObject():
		all = append(all, value.ObjectValue())
	case value.IsArray():
		for _, element := range value.ArrayValue() {
			all = append(all, objects(element)...)
		}
	}
	return all
}

func elementName(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.StarExpr:
		return elementName(expression.X)
	case *ast.ArrayType:
		return elementName(expression.Elt)
	case *ast.Ident:
		return expression.Name
	}
	return ""
}

// A deprecated input is a warning on every run, and gone some day.
func TestNoDeprecatedInput(t *testing.T) {
	sdks := map[string]sdk{}
	for plugin, path := range map[string]string{
		"command": "pulumi-command/sdk", "docker": "pulumi-docker/sdk/v4", "docker-build": "pulumi-docker-build/sdk/go/dockerbuild",
		"github": "pulumi-github/sdk/v6", "hcloud": "pulumi-hcloud/sdk", "tls": "pulumi-tls/sdk/v5",
	} {
		listed, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/"+path).Output()
		if err != nil {
			t.Fatalf("finding the SDK of %s: %v", plugin, err)
		}
		all := sdk{structs: map[string]*ast.StructType{}, args: map[string]string{}}
		module := string(bytes.TrimSpace(listed))
		if err := filepath.WalkDir(module, func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			read := readSDK(t, path)
			for name, fields := range read.structs {
				all.structs[name] = fields
			}
			for resource, name := range read.args {
				all.args[resource] = name
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		sdks[plugin] = all
	}
	checked := 0
	for _, stack := range []string{"dev", "prod", "lab"} {
		r := recordedStack(t, stack)
		if stack == "dev" {
			setPath(t, r, "clawft:image", "builder", map[string]any{"name": "mine", "driver": "docker-container"})
		}
		if err := r.Run(Deploy); err != nil {
			t.Fatal(err)
		}
		for _, registered := range r.Resources() {
			plugin, _, _ := strings.Cut(registered.Type, ":")
			name, ok := sdks[plugin].args[registered.Type]
			if !ok {
				continue
			}
			checked++
			if found := sdks[plugin].deprecated(name, registered.Inputs); len(found) > 0 {
				slices.Sort(found)
				t.Errorf("%s %s sets what its SDK calls deprecated: %s", registered.Type, registered.Name, strings.Join(found, ", "))
			}
		}
	}
	if checked < 80 {
		t.Errorf("only %d resources were checked", checked)
	}
}
