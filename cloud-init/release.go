package cloudinit

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clawft/infra/host/release"
	"github.com/clawft/infra/signature"
)

// DeployCommand reads one Release as JSON from standard input and makes it the running one. It needs
// root, as the other commands do: run it as root or behind "sudo -n".
const DeployCommand = libDirectory + "deploy"

// ListenAddress is where the host's proxy answers: the one address that clients use.
// It is reachable on the host only, or through an SSH tunnel.
const ListenAddress = "127.0.0.1:8080"

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
	Registry *release.RegistryLogin `json:"registry,omitempty"`
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

var envNamePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

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
		r.PullTimeout = release.DefaultPullTimeout
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
	problems := release.Release{
		Image: r.Image, Version: r.Version, Config: r.Config, Registry: r.Registry, Port: r.Port,
		MemoryMiB: r.MemoryMiB, Pids: r.Pids,
		HealthTimeout: r.HealthTimeout, Watch: r.Watch, Drain: r.Drain, PullTimeout: r.PullTimeout,
	}.Problems()
	problems = append(problems, r.Owner.validate()...)
	problems = append(problems, validateEnv(r.Env)...)
	if r.Signature != nil {
		problems = append(problems, validateKeys(r.Signature.Keys)...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("release is not valid:\n%w", errors.Join(problems...))
	}
	return nil
}

func validateEnv(env map[string]string) []error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		switch {
		case !envNamePattern.MatchString(name):
			problems = append(problems, fmt.Errorf("env: %q is not a name of letters, digits and underscores", name))
		case slices.Contains(release.ReservedEnv, name):
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
