package cloudinit

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clawft/infra/signature"
)

// DeployCommand reads one Release as JSON from standard input and makes it the running one. It needs
// root, as the other commands do: run it as root or behind "sudo -n".
const DeployCommand = libDirectory + "deploy"

// ListenAddress is where the host's proxy answers: the one address that clients use.
// It is reachable on the host only, or through an SSH tunnel.
const ListenAddress = "127.0.0.1:8080"

// Upper limits, in seconds. The drain and the health timeout are spent while the proxy holds requests:
// with two restarts of the gateway and a rollback they stay below the proxy's lb_try_duration.
const (
	maxHealthTimeout = 180
	maxDrain         = 60
	maxWatch         = 600
	maxPullTimeout   = 3600

	defaultPullTimeout = 600
)

// Docker reads an env file line by line and refuses a line of 64 KiB.
const maxEnvValue = 60 << 10

// Release is everything that decides what a host runs. It is the deploy script's input.
type Release struct {
	// Owner is whose host this is to be; on another's host, nothing is changed.
	Owner Owner `json:"owner"`
	// Image is the image by digest: repository@sha256:<64 hex digits>, never a tag.
	Image string `json:"image"`
	// Version is what the gateway must report on /api/health, such as 0.6.19.
	Version string `json:"version"`
	// Config is the gateway's config file. It holds no secret, only names of environment variables.
	Config json.RawMessage `json:"config"`
	// Env is the gateway's environment: the secrets.
	Env map[string]string `json:"env"`
	// Registry logs in to the image's registry; nil pulls anonymously.
	Registry *RegistryLogin `json:"registry,omitempty"`
	// Signature is what the host demands of the image before it pulls it: nil demands none.
	Signature *signature.Proof `json:"signature,omitempty"`
	// Port is where the gateway listens in its container; it equals gateway.apiPort in Config.
	Port int `json:"port"`
	// MemoryMiB and Pids limit the container.
	MemoryMiB int `json:"memoryMiB"`
	Pids      int `json:"pids"`
	// HealthTimeout is how long, in seconds, a started gateway may take until it is healthy.
	HealthTimeout int `json:"healthTimeout"`
	// Watch is how long, in seconds, the new gateway is observed before the deployment succeeds.
	Watch int `json:"watch"`
	// Drain is how long, in seconds, requests under way may take to finish before the gateway stops.
	Drain int `json:"drain"`
	// PullTimeout limits the pull, with its retries, in seconds; 0 means 600.
	PullTimeout int `json:"pullTimeout"`
}

// RegistryLogin is used for the pull only and is never written to a disk of the host.
type RegistryLogin struct {
	// Address is the registry as it stands in front of the image's name, such as ghcr.io.
	Address  string `json:"address"`
	Username string `json:"username"`
	Password string `json:"password"`
}

var (
	imagePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._:/_-]*[a-z0-9]@sha256:[0-9a-f]{64}$`)
	// The version becomes part of a directory's name on the host.
	versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	envNamePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// reservedEnv is what the unit sets itself.
var reservedEnv = []string{"HOME", "CLAWFT_CONFIG", "WEFTOS_NO_UPDATE_CHECK"}

// JSON validates the release and returns the deploy script's input. It contains the secrets.
func (r Release) JSON() (string, error) {
	if err := r.Validate(); err != nil {
		return "", err
	}
	if r.Env == nil {
		r.Env = map[string]string{}
	}
	if r.Owner.Takes == nil {
		r.Owner.Takes = []string{}
	}
	if r.PullTimeout == 0 {
		r.PullTimeout = defaultPullTimeout
	}
	// The config travels as text: the host writes it as it is, and no tool there rounds its numbers.
	type fields Release
	out, err := json.Marshal(struct {
		fields
		Config string `json:"config"`
	}{fields(r), string(r.Config)})
	if err != nil {
		return "", fmt.Errorf("encoding release: %w", err)
	}
	return string(out), nil
}

// Validate reports every problem at once, each with its field, what was given and what is right.
// It never prints a value of Env or the registry's password.
func (r Release) Validate() error {
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if !imagePattern.MatchString(r.Image) {
		add("image: %q is not repository@sha256:<64 hex digits>", r.Image)
	}
	if !versionPattern.MatchString(r.Version) {
		add("version: %q is not a version such as 0.6.19", r.Version)
	}
	for _, limit := range []struct {
		name        string
		given       int
		least, most int
		unit        string
	}{
		{"port", r.Port, 1, 65535, ""},
		{"memoryMiB", r.MemoryMiB, 16, 1 << 20, " MiB"},
		{"pids", r.Pids, 8, 1 << 22, ""},
		{"healthTimeout", r.HealthTimeout, 1, maxHealthTimeout, " s"},
		{"watch", r.Watch, 0, maxWatch, " s"},
		{"drain", r.Drain, 0, maxDrain, " s"},
		{"pullTimeout", r.PullTimeout, 0, maxPullTimeout, " s"},
	} {
		if limit.given < limit.least || limit.given > limit.most {
			add("%s: %d%s is not between %d and %d", limit.name, limit.given, limit.unit, limit.least, limit.most)
		}
	}
	problems = append(problems, r.Owner.validate()...)
	problems = append(problems, validateConfig(r.Config, r.Port)...)
	problems = append(problems, validateEnv(r.Env)...)
	if r.Registry != nil {
		problems = append(problems, r.Registry.validate(r.Image)...)
	}
	if r.Signature != nil {
		problems = append(problems, validateKeys(r.Signature.Keys)...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("release is not valid:\n%w", errors.Join(problems...))
	}
	return nil
}

// validateConfig checks what the host depends on; the rest of the config is the gateway's business.
func validateConfig(config json.RawMessage, port int) []error {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(config, &top); err != nil || top == nil {
		return []error{fmt.Errorf("config: it is not a JSON object")}
	}
	var gateway map[string]any
	if err := json.Unmarshal(top["gateway"], &gateway); err != nil || gateway == nil {
		return []error{fmt.Errorf("config.gateway: it is missing; the API must be enabled for the health check")}
	}
	// The gateway accepts both spellings.
	get := func(camel, snake string) any {
		if v, ok := gateway[camel]; ok {
			return v
		}
		return gateway[snake]
	}
	var problems []error
	if enabled := get("apiEnabled", "api_enabled"); enabled != true {
		problems = append(problems, fmt.Errorf("config.gateway.apiEnabled: %v is not true; without the API there is no health check", enabled))
	}
	if given := get("apiPort", "api_port"); given != float64(port) {
		problems = append(problems, fmt.Errorf("config.gateway.apiPort: %v is not the release's port %d", given, port))
	}
	if host := gateway["host"]; host != nil && host != "0.0.0.0" && host != "::" {
		problems = append(problems, fmt.Errorf("config.gateway.host: %v is not 0.0.0.0; the host cannot reach another address in the container", host))
	}
	return problems
}

func validateEnv(env map[string]string) []error {
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	slices.Sort(names)
	var problems []error
	for _, name := range names {
		value := env[name]
		switch {
		case !envNamePattern.MatchString(name):
			problems = append(problems, fmt.Errorf("env: %q is not a name of letters, digits and underscores", name))
		case slices.Contains(reservedEnv, name):
			problems = append(problems, fmt.Errorf("env.%s: the unit sets it; leave it out", name))
		case strings.IndexFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0:
			problems = append(problems, fmt.Errorf("env.%s: its value contains a line break or another control character, which an env file cannot hold", name))
		case !utf8.ValidString(value):
			problems = append(problems, fmt.Errorf("env.%s: its value is not UTF-8", name))
		case len(value) > maxEnvValue:
			problems = append(problems, fmt.Errorf("env.%s: its value is %d bytes long; at most %d fit into an env file's line", name, len(value), maxEnvValue))
		}
	}
	return problems
}

// validateKeys leaves the signature itself to the host, which has the last word.
func validateKeys(keys []string) []error {
	if len(keys) == 0 {
		return []error{fmt.Errorf("signature.keys: there is none; leave the signature out to demand none")}
	}
	var problems []error
	for n, text := range keys {
		if _, err := signature.ParsePublicKey(text); err != nil {
			problems = append(problems, fmt.Errorf("signature.keys[%d]: %w", n, err))
		}
	}
	return problems
}

func (l RegistryLogin) validate(image string) []error {
	var problems []error
	if l.Username == "" || l.Password == "" {
		problems = append(problems, fmt.Errorf("registry: it needs both a username and a password; leave it out to pull anonymously"))
	}
	if strings.Contains(l.Username, ":") {
		problems = append(problems, fmt.Errorf("registry.username: %q contains a colon", l.Username))
	}
	if given, right := l.Address, registryOf(image); given != right {
		problems = append(problems, fmt.Errorf("registry.address: %q is not the image's registry %q", given, right))
	}
	return problems
}

// registryOf follows Docker's rule: the first part is a registry when it has a dot or a port or is localhost.
func registryOf(image string) string {
	first, _, found := strings.Cut(image, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return "docker.io"
}
