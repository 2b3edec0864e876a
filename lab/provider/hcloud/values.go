package hcloud

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// The base has checked kinds already; what is absent reads as Go's zero value.

func text(m property.Map, name string) string {
	if v := m.Get(name); v.IsString() {
		return v.AsString()
	}
	return ""
}

func number(m property.Map, name string) int {
	if v := m.Get(name); v.IsNumber() {
		return int(v.AsNumber())
	}
	return 0
}

func flag(m property.Map, name string, absent bool) bool {
	if v := m.Get(name); v.IsBool() {
		return v.AsBool()
	}
	return absent
}

func list(m property.Map, name string) []property.Value {
	if v := m.Get(name); v.IsArray() {
		return v.AsArray().AsSlice()
	}
	return nil
}

func texts(m property.Map, name string) []string {
	var all []string
	for _, v := range list(m, name) {
		if v.IsString() {
			all = append(all, v.AsString())
		}
	}
	return all
}

func numbers(m property.Map, name string) []int {
	var all []int
	for _, v := range list(m, name) {
		if v.IsNumber() {
			all = append(all, int(v.AsNumber()))
		}
	}
	return all
}

func labels(m property.Map) map[string]string {
	all := map[string]string{}
	if v := m.Get("labels"); v.IsMap() {
		for key, value := range v.AsMap().All {
			if value.IsString() {
				all[key] = value.AsString()
			}
		}
	}
	return all
}

// values builds outputs from Go values.
func values(m map[string]any) property.Map {
	out := map[string]property.Value{}
	for name, v := range m {
		out[name] = value(v)
	}
	return property.NewMap(out)
}

func value(v any) property.Value {
	switch v := v.(type) {
	case string:
		return property.New(v)
	case bool:
		return property.New(v)
	case int:
		return property.New(float64(v))
	case float64:
		return property.New(v)
	case []string:
		return listOf(v)
	case []int:
		return listOf(v)
	case []map[string]any:
		return listOf(v)
	case map[string]any:
		return property.New(values(v))
	case map[string]string:
		out := map[string]property.Value{}
		for key, s := range v {
			out[key] = property.New(s)
		}
		return property.New(out)
	default:
		panic(fmt.Sprintf("no property value for %T", v))
	}
}

func listOf[T any](all []T) property.Value {
	out := make([]property.Value, len(all))
	for i, v := range all {
		out[i] = value(v)
	}
	return property.New(out)
}

func formatID(id int) string { return strconv.Itoa(id) }

// parseID reads what the engine recorded, or what a user imports.
func parseID(id string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(id))
	if err != nil {
		return 0, fmt.Errorf("reading the ID %q: Hetzner's are whole numbers", id)
	}
	return n, nil
}
