package provider

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// checkObject finds unknown, missing and mistyped properties at any depth.
// required names what the SDK's types cannot mark as required.
func checkObject(path string, of map[string]field, required []string, m property.Map) []p.CheckFailure {
	var failures []p.CheckFailure
	for name, value := range m.AllStable {
		f, known := of[name]
		at := join(path, name)
		if !known {
			failures = append(failures, p.CheckFailure{Property: at, Reason: unknown(name, of)})
			continue
		}
		if !value.IsNull() {
			failures = append(failures, f.check(at, value)...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if of[name].optional && !slices.Contains(required, name) {
			continue
		}
		if value := m.Get(name); value.IsNull() || emptyList(value) {
			failures = append(failures, p.CheckFailure{
				Property: join(path, name),
				Reason:   fmt.Sprintf("missing required property %q", name),
			})
		}
	}
	return failures
}

// emptyList is how a required list is missing: SDKs may send it without items.
func emptyList(v property.Value) bool { return v.IsArray() && v.AsArray().Len() == 0 }

func (s *shape) check(path string, v property.Value) []p.CheckFailure {
	if v.IsComputed() || s.kind == anything {
		return nil
	}
	ok := true
	switch s.kind {
	case aString:
		ok = v.IsString()
	case aBool:
		ok = v.IsBool()
	case aNumber:
		ok = v.IsNumber()
	case anInteger:
		ok = v.IsNumber() && v.AsNumber() == math.Trunc(v.AsNumber())
	case anAsset:
		ok = v.IsAsset()
	case anArchive:
		ok = v.IsArchive()
	case anAssetOrArchive:
		ok = v.IsAsset() || v.IsArchive()
	case aList:
		ok = v.IsArray()
	case aMap, anObject:
		ok = v.IsMap()
	}
	if !ok {
		// The value stays out of the message: it may be a secret.
		return []p.CheckFailure{{Property: path, Reason: fmt.Sprintf("expected %s, got %s", s.kind, kindOf(v))}}
	}

	var failures []p.CheckFailure
	switch s.kind {
	case aList:
		for i, item := range v.AsArray().All {
			failures = append(failures, s.elem.check(path+"["+strconv.Itoa(i)+"]", item)...)
		}
	case aMap:
		for key, item := range v.AsMap().AllStable {
			failures = append(failures, s.elem.check(join(path, key), item)...)
		}
	case anObject:
		failures = checkObject(path, s.of, nil, v.AsMap())
	}
	return failures
}

// kindOf names what v is, without its content.
func kindOf(v property.Value) string {
	switch {
	case v.IsString():
		return aString.String()
	case v.IsBool():
		return aBool.String()
	case v.IsNumber():
		return aNumber.String()
	case v.IsArray():
		return aList.String()
	case v.IsMap():
		return aMap.String()
	case v.IsAsset():
		return anAsset.String()
	case v.IsArchive():
		return anArchive.String()
	default:
		return "nothing"
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func unknown(name string, of map[string]field) string {
	names := slices.Sorted(maps.Keys(of))
	for _, known := range names {
		if strings.EqualFold(strings.ReplaceAll(name, "_", ""), known) {
			return fmt.Sprintf("unknown property %q, did you mean %q?", name, known)
		}
	}
	return fmt.Sprintf("unknown property %q, known are: %s", name, strings.Join(names, ", "))
}

// failed turns failures into one error, for calls that cannot report failures.
func failed(what string, failures []p.CheckFailure) error {
	if len(failures) == 0 {
		return nil
	}
	var reasons []string
	for _, f := range failures {
		reasons = append(reasons, f.Property+": "+f.Reason)
	}
	return fmt.Errorf("%s: %s", what, strings.Join(reasons, "; "))
}
