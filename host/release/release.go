package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/clawft/infra/signature"
)

// Spec is the newest version of how a container is made of a release. What is
// staged keeps the version that it was staged with, and is started so for ever.
const Spec = 1

// MaxSize limits a release as JSON, in bytes.
const MaxSize = 4 << 20

// Upper limits, in seconds. The drain and the health timeout are spent while the
// proxy holds requests.
const (
	MaxHealthTimeout = 180
	MaxDrain         = 60
	MaxWatch         = 600
	MaxPullTimeout   = 3600
)

// DefaultPullTimeout is what a release without a pullTimeout gets, in seconds.
const DefaultPullTimeout = 600

// Release is everything that decides what a gateway runs, and how it is started.
// It holds secrets: Env and Registry.
type Release struct {
	// Owner is whose gateway this is to be; on another's, nothing is changed.
	Owner Owner `json:"owner"`
	// Image is the image by digest: repository@sha256:<64 hex digits>, never a tag.
	Image string `json:"image"`
	// Version is what the gateway must report on /api/health, such as 0.6.19.
	Version string `json:"version"`
	// Config is the gateway's config file. It holds no secret, only names of environment variables.
	Config json.RawMessage `json:"config"`
	// Env is the gateway's environment: the secrets.
	Env map[string]string `json:"env"`
	// Registry logs in to the image's registry; nil pulls anonymously. It is on no
	// disk of the host.
	Registry *RegistryLogin `json:"registry,omitempty"`
	// Signature is the image's. Who has to have signed it is the host's policy.
	Signature *signature.Image `json:"signature,omitempty"`
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
	// PullTimeout limits the pull, with its retries, in seconds; 0 means DefaultPullTimeout.
	PullTimeout int `json:"pullTimeout"`
	// Spec is the version of how the container is made. The host sets it.
	Spec int `json:"spec,omitempty"`
}

var (
	imagePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._:/_-]*[a-z0-9]@(sha256:[0-9a-f]{64})$`)
	// The version becomes part of a directory's name.
	versionPattern = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

// Decode reads one release and checks it. Fields that it does not know are an error,
// and so is anything behind the release.
func Decode(from io.Reader) (Release, error) {
	text, err := io.ReadAll(io.LimitReader(from, MaxSize+1))
	if err != nil {
		return Release{}, fmt.Errorf("reading the release: %w", err)
	}
	if len(text) > MaxSize {
		return Release{}, errors.New("the release is larger than 4 MiB")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var r Release
	if err := decoder.Decode(&r); err != nil {
		return Release{}, fmt.Errorf("decoding the release: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Release{}, errors.New("decoding the release: there is something behind it")
	}
	return r, r.Validate()
}

// Digest is the image's, sha256:….
func (r Release) Digest() string {
	if found := imagePattern.FindStringSubmatch(r.Image); found != nil {
		return found[1]
	}
	return ""
}

// Validate reports every problem at once, each with its field, what was given and what is right.
// It never prints a value of Env or the registry's password.
func (r Release) Validate() error {
	problems := slices.Concat(r.Problems(), r.Owner.validate(), validateEnv(r.Env))
	if len(problems) > 0 {
		return fmt.Errorf("the release is not valid:\n%w", errors.Join(problems...))
	}
	return nil
}

// Problems are those of everything but whose it is, and its environment: how these get to a
// gateway decides what they may be.
func (r Release) Problems() []error {
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
		{"healthTimeout", r.HealthTimeout, 1, MaxHealthTimeout, " s"},
		{"watch", r.Watch, 0, MaxWatch, " s"},
		{"drain", r.Drain, 0, MaxDrain, " s"},
		{"pullTimeout", r.PullTimeout, 0, MaxPullTimeout, " s"},
		{"spec", r.Spec, 0, Spec, ""},
	} {
		if limit.given < limit.least || limit.given > limit.most {
			add("%s: %d%s is not between %d and %d", limit.name, limit.given, limit.unit, limit.least, limit.most)
		}
	}
	problems = append(problems, validateConfig(r.Config, r.Port)...)
	if r.Registry != nil {
		problems = append(problems, r.Registry.validate(r.Image)...)
	}
	return problems
}
