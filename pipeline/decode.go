package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/clawft/infra/internal/nearest"
)

// decoder reads parsed JSON into typed values and reports every key that is
// unknown and every value of the wrong type.
type decoder struct {
	report *report
	// secret keeps values out of problems.
	secret bool
}

// decode reads value, found at path, into target. A null leaves the target as
// it is.
func (d *decoder) decode(path string, value any, target reflect.Value) {
	if value == nil {
		return
	}
	d.report.given[path] = true
	if target.Type() == reflect.TypeFor[map[string]any]() {
		object, ok := value.(map[string]any)
		if !ok {
			d.wrongType(path, kindOf(value), "an object")
			return
		}
		target.Set(reflect.ValueOf(object))
		return
	}
	switch target.Kind() {
	case reflect.Pointer:
		target.Set(reflect.New(target.Type().Elem()))
		setDefaults(target.Elem())
		d.decode(path, value, target.Elem())
	case reflect.Struct:
		d.decodeStruct(path, value, target)
	case reflect.Map:
		d.decodeMap(path, value, target)
	case reflect.Slice:
		d.decodeSlice(path, value, target)
	default:
		d.decodeScalar(path, value, target)
	}
}

func (d *decoder) decodeStruct(path string, value any, target reflect.Value) {
	fields := configFields(target.Type())
	names := slices.Sorted(maps.Keys(fields))
	object, ok := value.(map[string]any)
	if !ok {
		d.wrongType(path, kindOf(value), "an object with keys out of "+strings.Join(names, ", "))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		at := path + "." + key
		if index, known := fields[key]; known {
			d.decode(at, object[key], target.Field(index))
		} else {
			d.report.wrong(at, "an unknown key", "%s", suggest(nearest.To(key, names), names))
		}
	}
}

// suggest is the end of "got an unknown key; want …".
func suggest(suggestion string, names []string) string {
	if suggestion != "" {
		return strconv.Quote(suggestion)
	}
	if len(names) == 0 {
		return "none: there is nothing to configure"
	}
	return "one of " + strings.Join(names, ", ")
}

func (d *decoder) decodeMap(path string, value any, target reflect.Value) {
	object, ok := value.(map[string]any)
	if !ok {
		d.wrongType(path, kindOf(value), "an object")
		return
	}
	target.Set(reflect.MakeMapWithSize(target.Type(), len(object)))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		element := reflect.New(target.Type().Elem()).Elem()
		setDefaults(element)
		d.decode(path+"."+key, object[key], element)
		target.SetMapIndex(reflect.ValueOf(key), element)
	}
}

func (d *decoder) decodeSlice(path string, value any, target reflect.Value) {
	list, ok := value.([]any)
	if !ok {
		d.wrongType(path, kindOf(value), "a list")
		return
	}
	target.Set(reflect.MakeSlice(target.Type(), len(list), len(list)))
	for i, element := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		setDefaults(target.Index(i))
		if element == nil {
			d.report.wrong(at, nothing, "a value, or no entry at all")
			d.report.unreadable[at] = true
			continue
		}
		d.decode(at, element, target.Index(i))
	}
}

func (d *decoder) decodeScalar(path string, value any, target reflect.Value) {
	switch target.Kind() {
	case reflect.String:
		text, ok := value.(string)
		if !ok {
			want := "a string"
			if _, number := value.(json.Number); number {
				want = "a string; put it in quotes"
			}
			d.wrongType(path, d.describe(value), want)
			return
		}
		target.SetString(text)
	case reflect.Bool:
		flag, ok := value.(bool)
		if !ok {
			d.wrongType(path, d.describe(value), "true or false, without quotes")
			return
		}
		target.SetBool(flag)
	case reflect.Int:
		number, _ := value.(json.Number)
		whole, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil {
			d.wrongType(path, d.describe(value), "a whole number, without quotes or unit")
			return
		}
		target.SetInt(whole)
	case reflect.Float64:
		number, _ := value.(json.Number)
		float, err := strconv.ParseFloat(string(number), 64)
		if err != nil {
			d.wrongType(path, d.describe(value), "a number, without quotes")
			return
		}
		target.SetFloat(float)
	default:
		panic(fmt.Sprintf("the type of %s, %s, is not one that a configuration has", path, target.Type()))
	}
}

func (d *decoder) wrongType(path, given, want string) {
	d.report.wrong(path, given, "%s", want)
	d.report.unreadable[path] = true
}

// describe shows a value that is not secret.
func (d *decoder) describe(value any) string {
	if d.secret {
		return kindOf(value)
	}
	switch value := value.(type) {
	case string:
		return quote(value)
	case json.Number:
		return value.String()
	case bool:
		return strconv.FormatBool(value)
	}
	return kindOf(value)
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	}
	return "an object"
}

// configFields maps the keys of a struct to its fields. The key is the field's
// name in JSON, or in the tag `config` where a configuration calls it
// differently. Fields with the name "-" are not part of a configuration.
func configFields(of reflect.Type) map[string]int {
	fields := map[string]int{}
	for i := range of.NumField() {
		if key := configKey(of.Field(i)); key != "-" {
			fields[key] = i
		}
	}
	return fields
}

func configKey(field reflect.StructField) string {
	if key, ok := field.Tag.Lookup("config"); ok {
		return key
	}
	key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if !field.IsExported() {
		return "-"
	}
	return key
}

// setDefaults fills in what the tags `default` say, throughout a struct. Lists of
// strings are comma-separated.
func setDefaults(target reflect.Value) {
	if target.Kind() != reflect.Struct {
		return
	}
	for i := range target.NumField() {
		field := target.Field(i)
		text, ok := target.Type().Field(i).Tag.Lookup("default")
		if !ok {
			setDefaults(field)
			continue
		}
		switch {
		case field.Kind() == reflect.String:
			field.SetString(text)
		case field.Type() == reflect.TypeFor[[]string]():
			field.Set(reflect.ValueOf(strings.Split(text, ",")))
		default:
			// All else is written as in JSON; a test reads every tag.
			if err := json.Unmarshal([]byte(text), field.Addr().Interface()); err != nil {
				panic(fmt.Sprintf("the default of %s: %v", target.Type().Field(i).Name, err))
			}
		}
	}
}
