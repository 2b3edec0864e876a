package pipeline

import (
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
