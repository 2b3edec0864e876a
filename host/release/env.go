package release

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxEnvValue limits a value of the environment, in bytes. Linux takes 128 KiB for
// a name and its value together.
const MaxEnvValue = 60 << 10

var envNamePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ReservedEnv is what the host itself sets.
var ReservedEnv = []string{"HOME", "CLAWFT_CONFIG", "WEFTOS_NO_UPDATE_CHECK"}

func validateEnv(env map[string]string) []error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		switch {
		case !envNamePattern.MatchString(name):
			problems = append(problems, fmt.Errorf("env: %q is not a name of letters, digits and underscores", name))
		case slices.Contains(ReservedEnv, name):
			problems = append(problems, fmt.Errorf("env.%s: the host sets it; leave it out", name))
		case strings.IndexFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0:
			problems = append(problems, fmt.Errorf("env.%s: its value contains a line break or another control character", name))
		case !utf8.ValidString(value):
			problems = append(problems, fmt.Errorf("env.%s: its value is not UTF-8", name))
		case len(value) > MaxEnvValue:
			problems = append(problems, fmt.Errorf("env.%s: its value is %d bytes long; at most %d are possible", name, len(value), MaxEnvValue))
		}
	}
	return problems
}
