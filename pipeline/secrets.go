package pipeline

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clawft/infra/internal/nearest"
)

// logLevelVariable is the environment variable of `gateway.logLevel`.
const logLevelVariable = "RUST_LOG"

// providerKeys maps the LLM providers that the gateway has built in to the
// environment variable that holds their API key.
var providerKeys = map[string]string{
	"anthropic":  "ANTHROPIC_API_KEY",
	"deepseek":   "DEEPSEEK_API_KEY",
	"gemini":     "GOOGLE_GEMINI_API_KEY",
	"groq":       "GROQ_API_KEY",
	"mistral":    "MISTRAL_API_KEY",
	"openai":     "OPENAI_API_KEY",
	"openrouter": "OPENROUTER_API_KEY",
	"together":   "TOGETHER_API_KEY",
	"xai":        "XAI_API_KEY",
}

// localProviders have a built-in provider too, but work without a key.
const localProviderKey = "LOCAL_LLM_API_KEY"

// gatewayVariables are the secret environment variables that the gateway reads
// without being told to.
func gatewayVariables() []string {
	names := append(slices.Collect(maps.Values(providerKeys)), localProviderKey, "BRAVE_SEARCH_API_KEY", "ELEVENLABS_API_KEY")
	slices.Sort(names)
	return names
}

// reservedVariables are set by the pipeline or decide how the process runs.
var reservedVariables = map[string]string{
	"HOME":                   "another name: HOME decides where the gateway keeps its data and is fixed in the image",
	"PATH":                   "another name: PATH is fixed in the image",
	"CLAWFT_CONFIG":          "another name: the gateway is started with --config and the file made from gateway.config",
	"CLAWFT_WORKSPACE":       "gateway.config.agents.defaults.workspace instead",
	"RUST_LOG":               "gateway.logLevel instead",
	"WEFTOS_NO_UPDATE_CHECK": "another name: the pipeline switches the gateway's update check off itself",
	"LD_PRELOAD":             "another name: LD_PRELOAD would load code into the gateway",
	"LD_LIBRARY_PATH":        "another name: LD_LIBRARY_PATH would load code into the gateway",
}

// longestSecret keeps a line of the environment file below the 64 KiB that
// Docker reads.
const longestSecret = 60 << 10

var variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

const variableRule = "the name of an environment variable: capital letters, digits and _, not starting with a digit"

func checkSecrets(r *report, path string, secrets map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		at := path + "." + name
		if want, reserved := reservedVariables[name]; reserved {
			r.wrong(at, "a reserved name", "%s", want)
			continue
		}
		checkSecretValue(r, at, name, secrets[name])
	}
}

// checkSecretValue never shows the value.
func checkSecretValue(r *report, path, name, value string) {
	switch {
	case !variableName.MatchString(name):
		want := variableRule
		if upper := strings.ToUpper(strings.ReplaceAll(name, "-", "_")); variableName.MatchString(upper) {
			want += ", such as " + upper
		}
		r.wrong(path, "the name "+quote(name), "%s", want)
	case value == "":
		r.wrong(path, "an empty value", "a secret: %s; or no entry at all", r.setSecretCommand(path))
	case strings.ContainsFunc(value, isControl) || !utf8.ValidString(value):
		r.wrong(path, "a value of several lines or with control characters", "one line of text, because it is passed on in an environment file")
	case strings.TrimSpace(value) != value || strings.ContainsFunc(value, isInvisible):
		r.wrong(path, "a value with blanks around it or with invisible characters, such as a byte order mark", "the value alone: %s", r.setSecretCommand(path))
	case len(value) > longestSecret:
		r.wrong(path, fmt.Sprintf("a value of %d bytes", len(value)), "at most %d, because it is passed on in an environment file", longestSecret)
	}
}

// isInvisible is true for what an editor or a web page leaves in a value that was
// copied there. No key and no token has it.
func isInvisible(c rune) bool { return unicode.Is(unicode.Cf, c) }

// isControl is true for what an environment file cannot hold.
func isControl(c rune) bool { return unicode.IsControl(c) && c != '\t' }

// checkMisspelt reports a variable that nothing reads and whose name is almost
// that of one that the gateway reads. It would only show when a request needs
// it. The names that the gateway's configuration mentions are read as well.
func checkMisspelt(r *report, path string, secrets map[string]string, mentioned []string) {
	known := gatewayVariables()
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if slices.Contains(known, name) || slices.Contains(mentioned, name) {
			continue
		}
		for _, meant := range known {
			_, given := secrets[meant]
			if !given && (nearest.Distance(name, meant) <= 2 || strings.HasSuffix(meant, "_"+name)) {
				r.wrong(path+"."+name, "a name that the gateway does not read", "%s", meant)
			}
		}
	}
}
