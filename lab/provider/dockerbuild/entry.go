package dockerbuild

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// entry is one value of buildx' --output, --cache-from or --cache-to: a kind
// with attributes.
type entry struct {
	kind       string
	attributes map[string]string
}

// attributeNames are those that do not follow from the SDK's name by writing it
// with dashes.
var attributeNames = map[string]string{
	"ociMediaTypes":   "oci-mediatypes",
	"names":           "name",
	"accountUrl":      "account_url",
	"secretAccessKey": "secret_access_key",
	"accessKeyId":     "access_key_id",
	"sessionToken":    "session_token",
	"endpointUrl":     "endpoint_url",
	"blobsPrefix":     "blobs_prefix",
	"manifestsPrefix": "manifests_prefix",
	"usePathStyle":    "use_path_style",
}

// alternatives encodes an SDK struct that offers a choice, such as
// dockerbuild.Export or CacheFrom: a field for each kind, and a raw one. What
// was chosen is one entry, unless the user made a mistake.
func alternatives(choice any) ([]*entry, error) {
	var entries []*entry
	of := reflect.ValueOf(choice)
	for i := range of.NumField() {
		name, field := of.Type().Field(i).Tag.Get("pulumi"), of.Field(i)
		switch {
		case field.IsNil() || name == "disabled":
		case name == "raw":
			if raw := field.Elem().String(); raw != "" {
				e, err := parseEntry(raw)
				if err != nil {
					return nil, err
				}
				entries = append(entries, e)
			}
		default:
			entries = append(entries, newEntry(name, field.Elem().Interface()))
		}
	}
	return entries, nil
}

// newEntry encodes an SDK struct, such as dockerbuild.ExportRegistry.
func newEntry(kind string, options any) *entry {
	e := &entry{kind: kind, attributes: map[string]string{}}
	of := reflect.ValueOf(options)
	for i := range of.NumField() {
		name := of.Type().Field(i).Tag.Get("pulumi")
		field := of.Field(i)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				continue
			}
			field = field.Elem()
		}
		switch field.Kind() {
		case reflect.Map:
			for key, item := range field.Seq2() {
				e.attributes["annotation."+key.String()] = item.String()
			}
		case reflect.Slice:
			// As with the plugin, the last one counts.
			for _, item := range field.Seq2() {
				e.attributes[attributeName(name)] = item.String()
			}
		default:
			if text := fmt.Sprint(field.Interface()); text != "" {
				e.attributes[attributeName(name)] = text
			}
		}
	}
	// As with the plugin, compression is left to BuildKit unless there is a level.
	if e.attributes["compression-level"] == "0" {
		for _, name := range []string{"compression", "compression-level", "force-compression"} {
			delete(e.attributes, name)
		}
	}
	return e
}

func attributeName(name string) string {
	if given, ok := attributeNames[name]; ok {
		return given
	}
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// parseEntry reads what the user wrote as for the command line.
func parseEntry(raw string) (*entry, error) {
	fields, err := csv.NewReader(strings.NewReader(raw)).Read()
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", raw, err)
	}
	e := &entry{attributes: map[string]string{}}
	for _, field := range fields {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, fmt.Errorf("invalid value %q: every part has to be name=value", field)
		}
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "type" {
			e.kind = value
		} else {
			e.attributes[name] = value
		}
	}
	if e.kind == "" {
		return nil, errors.New("type is required")
	}
	return e, nil
}

// String is the entry as buildx reads it. Attributes are sorted, so that equal
// entries are equal as text.
func (e *entry) String() string {
	fields := []string{"type=" + e.kind}
	for _, name := range slices.Sorted(maps.Keys(e.attributes)) {
		fields = append(fields, name+"="+e.attributes[name])
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	// Neither can fail: a Builder takes everything.
	_ = w.Write(fields)
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
