package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/clawft/infra/internal/quote"
)

// nothing is what a finding says was given where nothing was.
const nothing = "nothing"

// validate turns what the schema refuses into problems.
func (d *Document) validate() {
	var refused *jsonschema.ValidationError
	if err := d.schema.compiled.Validate(d.checked); errors.As(err, &refused) {
		d.refuse(refused)
	}
}

func (d *Document) refuse(refused *jsonschema.ValidationError) {
	_, pointer, _ := strings.Cut(refused.SchemaURL, "#")
	at := d.schema.root.at(pointer)
	path := d.path(refused.InstanceLocation...)
	switch why := refused.ErrorKind.(type) {
	case *kind.Required:
		for _, missing := range why.Missing {
			d.problem(join(path, missing), nothing, first(at.text("x-want"), d.wanted(refused.InstanceLocation, missing), "a value"))
		}
	case *kind.Not:
		given := "a value"
		if !at.refused() {
			given = d.given(refused)
		}
		d.problem(path, first(at.text("x-given"), given), first(at.text("x-want"), "no value"))
	case *kind.OneOf, *kind.AnyOf:
		d.problem(path, first(at.text("x-given"), "a value"), first(at.text("x-want"), "a value that fits"))
	default:
		if len(refused.Causes) == 0 {
			d.problem(path, first(at.text("x-given"), d.given(refused)), first(at.want(refused.ErrorKind), "another value"))
			return
		}
	}
	switch refused.ErrorKind.(type) {
	case *kind.OneOf, *kind.AnyOf, *kind.Not:
		return // what made them fail is not what was meant
	}
	for _, cause := range refused.Causes {
		d.refuse(cause)
	}
}

// wanted is what the schema of a property says would be right.
func (d *Document) wanted(object []string, property string) string {
	n := d.schema.root
	for _, step := range append(slices.Clone(object), property) {
		if _, below, known := n.known(step); known {
			n = below
		} else if items, ok := n.below(n.get("items")); ok {
			n = items
		} else if names, ok := n.below(n.get("additionalProperties")); ok {
			n = names
		}
	}
	if options, ok := n.get("enum").([]any); ok {
		return oneOf(options)
	}
	return n.text("x-want")
}

func (d *Document) problem(path, given, want string) {
	finding := Finding{path, given, want}
	if !slices.Contains(d.Problems, finding) {
		d.Problems = append(d.Problems, finding)
	}
}

// given describes the refused value.
func (d *Document) given(refused *jsonschema.ValidationError) string {
	var here any = d.checked
	for _, step := range refused.InstanceLocation {
		switch container := here.(type) {
		case map[string]any:
			here = container[step]
		case []any:
			index, _ := strconv.Atoi(step)
			here = container[index]
		}
	}
	switch value := here.(type) {
	case string:
		if value == "" {
			return nothing
		}
		return quote.Value(value)
	case []any:
		if len(value) == 0 {
			return "an empty list"
		}
		return fmt.Sprintf("a list of %d", len(value))
	case map[string]any:
		return "an object"
	case nil:
		return nothing
	case json.Number:
		return value.String()
	}
	return fmt.Sprint(here)
}

// want says what would be right, from the schema's own words or its keywords.
func (n node) want(why jsonschema.ErrorKind) string {
	if wrong, ok := why.(*kind.Type); ok {
		return typeWanted(wrong)
	}
	if want := n.text("x-want"); want != "" {
		return want
	}
	switch why := why.(type) {
	case *kind.Enum:
		return oneOf(why.Want)
	case *kind.Minimum, *kind.Maximum:
		low, lowest := n.get("minimum").(json.Number)
		high, highest := n.get("maximum").(json.Number)
		switch {
		case lowest && highest:
			return low.String() + " to " + high.String()
		case lowest:
			return low.String() + " or more"
		case highest:
			return high.String() + " or less"
		}
	case *kind.Format:
		return "a " + why.Want
	case *kind.MinItems:
		return fmt.Sprintf("at least %d", why.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("at most %d", why.Want)
	}
	return ""
}

func typeWanted(why *kind.Type) string {
	switch why.Want[0] {
	case "string":
		if why.Got == "number" || why.Got == "integer" {
			return "a string; put it in quotes"
		}
		return "a string"
	case "boolean":
		return "true or false, without quotes"
	case "integer":
		return "a whole number, without quotes or unit"
	case "number":
		return "a number, without quotes"
	case "array":
		return "a list"
	}
	return "an " + why.Want[0]
}

func oneOf(options []any) string {
	words := make([]string, len(options))
	for i, option := range options {
		words[i] = fmt.Sprint(option)
	}
	if len(words) == 1 {
		return words[0]
	}
	return "one of " + strings.Join(words, ", ")
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
