package pipeline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	quotation "github.com/clawft/infra/internal/quote"
)

// Problem is one wrong value in a stack's configuration.
type Problem struct {
	// Path leads to the value: clawft:hosts[1].hostKey.
	Path string
	// Given describes what stands there. It never shows a secret.
	Given string
	// Want says what would be right, and what to do.
	Want string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s: got %s; want %s", p.Path, p.Given, p.Want)
}

// ConfigError lists everything that is wrong with a stack's configuration.
type ConfigError struct {
	Stack    string
	Problems []Problem
}

var _ error = (*ConfigError)(nil)

func (e *ConfigError) Error() string {
	var text strings.Builder
	noun := "problems"
	if len(e.Problems) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&text, "%d %s in the configuration of stack %s; nothing was changed:", len(e.Problems), noun, e.Stack)
	for _, problem := range e.Problems {
		text.WriteString("\n  " + problem.String())
	}
	return text.String()
}

// report collects problems while a configuration is read and checked.
type report struct {
	stack    string
	problems []Problem
	// given holds the paths that the stack sets, so that a zero can be told
	// from a value that is absent.
	given map[string]bool
	// unreadable holds the paths whose value has the wrong type. What lies
	// below or depends on them is not reported a second time.
	unreadable map[string]bool
}

func newReport(stack string) *report {
	return &report{stack: stack, given: map[string]bool{}, unreadable: map[string]bool{}}
}

// wrong records a problem, unless the value at the path or around it could not
// even be read.
func (r *report) wrong(path, given, want string, args ...any) {
	for at := path; at != ""; at = parentPath(at) {
		if r.unreadable[at] {
			return
		}
	}
	problem := Problem{Path: path, Given: given, Want: fmt.Sprintf(want, args...)}
	if !slices.Contains(r.problems, problem) {
		r.problems = append(r.problems, problem)
	}
}

// err is nil when nothing was wrong. Problems are ordered by path.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return comparePaths(a.Path, b.Path) })
	return &ConfigError{Stack: r.stack, Problems: r.problems}
}

// setCommand is the command that gives a value, with the stack's name filled in.
func (r *report) setCommand(key, value string) string {
	return fmt.Sprintf("pulumi config set --stack %s %s %s", r.stack, flagged(key), value)
}

// setSecretCommand prompts for the value, so that it stays out of the shell's
// history.
func (r *report) setSecretCommand(key string) string {
	return fmt.Sprintf("pulumi config set --stack %s --secret %s", r.stack, flagged(key))
}

// flagged is a key as the command line takes it.
func flagged(key string) string {
	if strings.Contains(key, ".") {
		return "--path '" + key + "'"
	}
	return key
}

func parentPath(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// comparePaths orders hosts[2] before hosts[10].
func comparePaths(a, b string) int {
	as, bs := pathElements(a), pathElements(b)
	for i := range min(len(as), len(bs)) {
		left, leftErr := strconv.Atoi(as[i])
		right, rightErr := strconv.Atoi(bs[i])
		if leftErr == nil && rightErr == nil && left != right {
			return left - right
		}
		if order := strings.Compare(as[i], bs[i]); order != 0 {
			return order
		}
	}
	return len(as) - len(bs)
}

func pathElements(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return strings.ContainsRune(".[]", c) })
}

// nothing is what a Problem says was given where nothing was.
const nothing = "nothing"

// quote shows a value in a problem.
func quote(value string) string { return quotation.Value(value) }
