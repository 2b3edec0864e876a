package stack

import (
	"fmt"
	"regexp"
	"strings"
)

// A build tells of itself in buildx' plain progress: "#12 [builder 3/7] RUN cargo
// build" when a step begins, "#12 31.4 Compiling …" while it runs, "#12 DONE 45.2s",
// "#12 CACHED" or "#12 ERROR: …" at its end.
var (
	stepBegins = regexp.MustCompile(`^(#\d+) (\[.*)$`)
	stepEnds   = regexp.MustCompile(`^(#\d+) (DONE ([0-9.]+)s|CACHED|CANCELED|ERROR.*)$`)
)

// build follows the steps of a build.
type build struct {
	// steps are those that have begun, by number, and ended those that are over.
	steps map[string]string
	ended map[string]bool
}

// take returns the lines that a line of progress is worth on the screen.
func (b *build) take(line string) []string {
	if b.steps == nil {
		b.steps, b.ended = map[string]string{}, map[string]bool{}
	}
	if found := stepBegins.FindStringSubmatch(line); found != nil {
		number, step := found[1], found[2]
		// A step is announced again each time that others have spoken.
		if _, known := b.steps[number]; known || strings.HasPrefix(step, "[internal]") {
			return nil
		}
		b.steps[number] = step
		return []string{fmt.Sprintf("  building %s", step)}
	}
	found := stepEnds.FindStringSubmatch(line)
	if found == nil {
		return nil
	}
	step, known := b.steps[found[1]]
	if !known || b.ended[found[1]] {
		return nil
	}
	b.ended[found[1]] = true
	switch {
	case found[3] != "":
		return []string{fmt.Sprintf("  built    %s  %s s", step, found[3])}
	case strings.HasPrefix(found[2], "ERROR"):
		return []string{fmt.Sprintf("  FAILED   %s", step)}
	}
	return []string{fmt.Sprintf("  %-8s %s", strings.ToLower(found[2]), step)}
}
