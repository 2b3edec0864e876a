package provider

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// kind is what a property's value has to be.
type kind int

const (
	anything kind = iota
	aString
	aBool
	aNumber
	anInteger
	aList
	aMap
	anObject
	anAsset
	anArchive
	anAssetOrArchive
)

func (k kind) String() string {
	return [...]string{
		"any value", "a string", "a boolean", "a number", "an integer", "a list", "a map", "an object",
		"an asset", "an archive", "an asset or an archive",
	}[k]
}

// shape describes a value by an SDK type.
type shape struct {
	kind kind
	elem *shape           // of a list or a map
	of   map[string]field // of an object
}

// field is one property of an object.
type field struct {
	*shape
	// optional is true for what may be left out. SDK types show it by a
	// pointer; lists, maps and interfaces have none and count as optional.
	optional bool
}

var (
	assetType          = reflect.TypeFor[pulumi.Asset]()
	archiveType        = reflect.TypeFor[pulumi.Archive]()
	assetOrArchiveType = reflect.TypeFor[pulumi.AssetOrArchive]()
)

// elementTyped is implemented by SDK types, to name the plain type behind them.
type elementTyped interface{ ElementType() reflect.Type }

// fieldsOf reads the properties of an SDK value: an XArgs, a *X (a resource), a
// ProviderArgs, or a struct with pulumi tags. A nil value has no properties.
func fieldsOf(value any) map[string]field {
	if value == nil {
		return map[string]field{}
	}
	return shapeOf(plainType(reflect.TypeOf(value)), map[reflect.Type]*shape{}).of
}

// plainType follows ElementType from an Args or Output type to the struct,
// slice, map or scalar that holds plain values and pulumi tags.
func plainType(t reflect.Type) reflect.Type {
	// An interface has no zero value to ask, and a nil pointer may not be asked.
	if t.Kind() != reflect.Interface && t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[elementTyped]()) {
		return reflect.Zero(t).Interface().(elementTyped).ElementType()
	}
	return t
}

// shapeOf keeps what it has seen, because SDK types may refer to themselves.
func shapeOf(t reflect.Type, seen map[reflect.Type]*shape) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := seen[t]; ok {
		return s
	}
	s := &shape{}
	seen[t] = s
	switch t {
	case assetType:
		s.kind = anAsset
		return s
	case archiveType:
		s.kind = anArchive
		return s
	case assetOrArchiveType:
		s.kind = anAssetOrArchive
		return s
	}
	switch t.Kind() {
	case reflect.String:
		s.kind = aString
	case reflect.Bool:
		s.kind = aBool
	case reflect.Int:
		s.kind = anInteger
	case reflect.Float64:
		s.kind = aNumber
	case reflect.Slice:
		s.kind, s.elem = aList, shapeOf(plainType(t.Elem()), seen)
	case reflect.Map:
		s.kind, s.elem = aMap, shapeOf(plainType(t.Elem()), seen)
	case reflect.Interface:
		s.kind = anything
	case reflect.Struct:
		s.kind, s.of = anObject, map[string]field{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("pulumi"), ",")
			if name == "" {
				continue
			}
			plain := plainType(f.Type)
			s.of[name] = field{shape: shapeOf(plain, seen), optional: mayBeAbsent(plain)}
		}
	default:
		panic(fmt.Sprintf("provider: no property can be of SDK type %s", t))
	}
	return s
}

func mayBeAbsent(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	default:
		return false
	}
}
