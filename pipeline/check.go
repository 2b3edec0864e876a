package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// between reports a number outside of its limits, which are inclusive.
func (r *report) between(path string, value, low, high int, unit string) {
	if value < low || value > high {
		r.wrong(path, strconv.Itoa(value), "%d to %d%s", low, high, unit)
	}
}

func (r *report) optionalBetween(path string, value *int, low, high int, unit string) {
	if value != nil {
		r.between(path, *value, low, high, unit)
	}
}

// fraction reports a number outside of 0 and its upper limit.
func (r *report) fraction(path string, value *float64, high int) {
	if value != nil && (*value < 0 || *value > float64(high)) {
		r.wrong(path, fmt.Sprint(*value), "0 to %d", high)
	}
}

func (r *report) notNegative(path string, value *float64) {
	if value != nil && *value < 0 {
		r.wrong(path, fmt.Sprint(*value), "0 or more")
	}
}

// oneOf reports a value that is none of the allowed ones.
func (r *report) oneOf(path, value string, allowed ...string) {
	if slices.Contains(allowed, value) {
		return
	}
	want := "one of " + strings.Join(allowed, ", ")
	if len(allowed) == 1 {
		want = allowed[0]
	}
	r.wrong(path, quoteOrNothing(value), "%s", want)
}

func quoteOrNothing(value string) string {
	if value == "" {
		return nothing
	}
	return quote(value)
}

// number shows a number that may be absent.
func (r *report) number(path string, value int) string {
	if !r.given[path] {
		return nothing
	}
	return strconv.Itoa(value)
}
