package pipeline

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/registry"
)

// Image is the gateway's image and where it comes from: exactly one of Source,
// Digest and PromoteFrom.
type Image struct {
	// Registry and repository, without a tag, such as ghcr.io/clawft/clawft.
	// Capital letters become lower case, as registries demand. Required.
	Repository string `json:"repository"`
	// What to build: the URL of a git repository, or a local directory, relative
	// to the project's.
	Source string `json:"source"`
	// Tag, branch or commit to build from a git source. Default: v and the
	// version. May also stand behind the URL: …/clawft.git#v0.6.19.
	Ref string `json:"ref"`
	// Dockerfile, relative to the project's directory.
	Dockerfile string `json:"dockerfile" default:"Dockerfile"`
	// Platforms to build: linux/amd64, linux/arm64.
	Platforms []string `json:"platforms" default:"linux/amd64,linux/arm64"`
	// Build arguments. They can be read from the image: no secrets here.
	BuildArgs map[string]string `json:"buildArgs"`
	// Named build contexts; one can replace a base image, such as
	// `debian:bookworm-slim: docker-image://mirror.example.org/debian:bookworm-slim`.
	Contexts map[string]string `json:"contexts"`
	// The buildx builder; it is created if it does not exist.
	Builder Builder `json:"builder"`
	// Where build layers are cached.
	Cache Cache `json:"cache"`
	// Limit of the compressed size per platform, in MiB: config and layers.
	SizeLimitMiB int `json:"sizeLimitMiB" default:"50"`
	// Start the image here, in a container, before it is published or deployed.
	// Needs a Docker engine of one of the platforms on the machine that runs
	// Pulumi. Without it, the first start is the hosts' preflight.
	SmokeTest bool `json:"smokeTest" default:"true"`
	// Publish the image, once it is proven, under the version, and under X.Y, X
	// and latest if no higher stable release of that line is published. One stack
	// should: a version is published once, and never with other content.
	Publish bool `json:"publish" default:"false"`
	// Sign the image that this stack builds, and attest what it is made of and
	// built from. The hosts then start no image that is not signed.
	Sign bool `json:"sign" default:"true"`
	// Public keys in PEM format: the hosts start only an image that one of them
	// has signed. Default: the public half of `signingKey`, the key that this
	// stack signs with, or the keys of the stack in promoteFrom.
	PublicKeys []string `json:"publicKeys"`
	// Digest of an image that exists, to deploy instead of building one.
	Digest string `json:"digest"`
	// Stack whose image is deployed instead of building one, as
	// organization/project/stack. It has to run the version that this stack
	// gives, from the same repository.
	PromoteFrom string `json:"promoteFrom"`
	// User who pushes, with `registryPassword`. Absent: Docker's own login.
	Username string `json:"username"`
	// User who pulls on the hosts, with `registryPullToken`. Default: `username`.
	PullUsername string `json:"pullUsername"`

	// Subdirectory of a git source: what stands behind #ref: in its URL.
	Subdirectory string `json:"-"`
	// SigningKey is nil if one is to be generated.
	SigningKey pulumi.StringInput `json:"-"`
	// Push is nil if the stack gives no credentials to push with.
	Push *RegistryLogin `json:"-"`
	// Pull is nil if the image is public.
	Pull *RegistryLogin `json:"-"`
}

// Builder is a buildx builder.
type Builder struct {
	// Name of the builder.
	Name string `json:"name" default:"clawft-multiarch"`
	// Driver: docker-container, docker, kubernetes or remote.
	Driver string `json:"driver" default:"docker-container"`
	// Where the builder is reached. Required for the remote driver.
	Endpoint string `json:"endpoint"`
}

// Cache says where build layers are cached.
type Cache struct {
	// Type: gha (GitHub Actions), registry, local or none; auto is gha inside
	// GitHub Actions and registry elsewhere.
	Type string `json:"type" default:"auto"`
	// Reference of a registry cache. Default: tag `buildcache` of the repository.
	Ref string `json:"ref"`
	// Directory of a local cache.
	Path string `json:"path"`
}

// RegistryLogin is a login to the image's registry.
type RegistryLogin struct {
	Server, Username string
	Password         pulumi.StringInput

	// plain is for what the program itself asks the registry.
	plain string
}

func newRegistryLogin(server, username, password string) *RegistryLogin {
	return &RegistryLogin{Server: server, Username: username, Password: secret(password), plain: password}
}

// registry is nil if Docker's own login is to be used.
func (l *RegistryLogin) registry() *registry.Login {
	if l == nil {
		return nil
	}
	return &registry.Login{Username: l.Username, Password: l.plain}
}

// reader is the login that reads what is in the registry, or nil.
func (i Image) reader() *RegistryLogin {
	if i.Push != nil {
		return i.Push
	}
	return i.Pull
}

// Git is true if the image is built from a git repository.
func (i Image) Git() bool { return isGitURL(i.Source) }

// pinned is the build context: a local directory as it stands there, or the git
// source at a commit.
func (i Image) pinned(commit string) string {
	switch {
	case !i.Git():
		return i.Source
	case i.Subdirectory != "":
		return i.Source + "#" + commit + ":" + i.Subdirectory
	}
	return i.Source + "#" + commit
}

// sourceLabel is the address of the source repository for the image's labels,
// or "" where there is none to show.
func (i Image) sourceLabel() string {
	if !strings.HasPrefix(i.Source, "http") {
		return ""
	}
	return strings.TrimSuffix(i.Source, ".git")
}

// component resolves the type auto.
func (c Cache) component() components.Cache {
	switch {
	case c.Type == "local":
		return components.Cache{Type: c.Type, Ref: c.Path}
	case c.Type == "none":
		return components.Cache{}
	case c.Type == "auto" && os.Getenv("GITHUB_ACTIONS") == "true":
		return components.Cache{Type: "gha"}
	case c.Type == "auto":
		return components.Cache{Type: "registry", Ref: c.Ref}
	}
	return components.Cache{Type: c.Type, Ref: c.Ref}
}

const (
	amd64 = "linux/amd64"
	arm64 = "linux/arm64"
)

var (
	repositoryPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+$`)
	tagPattern        = regexp.MustCompile(`:[^/:@]*$`)
	digestPattern     = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	stackPattern      = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`)
	gitURLPattern     = regexp.MustCompile(`^(https?|ssh|git)://|^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:`)
	gitRefPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]*$`)
	builderPattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`)
	argumentPattern   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretLike        = regexp.MustCompile(`(?i)(TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|PRIVATE_?KEY)$`)
)

// ownArguments are the build arguments that the pipeline sets.
var ownArguments = []string{"VERSION", "REVISION", "CREATED", "SOURCE", "BUILDKIT_MULTI_PLATFORM"}

func isGitURL(source string) bool { return gitURLPattern.MatchString(source) }

func (i *Image) check(r *report, path, version, root string) {
	// GitHub's names of owners and repositories may have capital letters.
	i.Repository = strings.ToLower(i.Repository)
	checkRepository(r, path+".repository", i.Repository)
	i.checkOrigin(r, path)
	if i.Source != "" {
		i.checkSource(r, path, root)
		i.checkDockerfile(r, path+".dockerfile", root)
	}
	i.checkPlatformNames(r, path+".platforms")
	i.checkBuild(r, path)
	r.between(path+".sizeLimitMiB", i.SizeLimitMiB, 1, 10240, " MiB")
	if i.Digest != "" && !digestPattern.MatchString(i.Digest) {
		r.wrong(path+".digest", quote(i.Digest), "sha256: and 64 hexadecimal digits in lower case")
	}
	if i.PromoteFrom != "" && !stackPattern.MatchString(i.PromoteFrom) {
		r.wrong(path+".promoteFrom", quote(i.PromoteFrom),
			"a stack as organization/project/stack; on a self-managed backend the organization is literally \"organization\"")
	}
	if i.Git() && i.Ref == "" && !strings.Contains(i.Source, "#") {
		i.Ref = "v" + version
	}
}

func checkRepository(r *report, path, repository string) {
	if repository == "" {
		r.wrong(path, nothing, "the image's registry and repository: %s", r.setCommand(path, "ghcr.io/clawft/clawft"))
		return
	}
	name, _, digest := strings.Cut(repository, "@")
	untagged := tagPattern.ReplaceAllString(name, "")
	registry, _, hasPath := strings.Cut(repository, "/")
	switch {
	case strings.Contains(repository, "://"):
		r.wrong(path, quote(repository), "registry and repository without a scheme")
	case digest:
		r.wrong(path, quote(repository), "%s here, and the digest in the image's key digest", name)
	case untagged != name && hasPath:
		r.wrong(path, quote(repository), "%s, without a tag: the version names the release", untagged)
	case hasPath && !strings.ContainsAny(registry, ".:") && registry != "localhost":
		r.wrong(path, quote(repository), "the registry in front, such as docker.io/%s", repository)
	case !repositoryPattern.MatchString(repository) || len(repository) > 255:
		r.wrong(path, quote(repository), "registry and repository, such as ghcr.io/clawft/clawft")
	}
}

// checkOrigin demands exactly one place from which the image comes.
func (i *Image) checkOrigin(r *report, path string) {
	var given []string
	for _, origin := range []struct{ key, value string }{
		{"source", i.Source}, {"digest", i.Digest}, {"promoteFrom", i.PromoteFrom},
	} {
		if origin.value != "" {
			given = append(given, origin.key)
		}
	}
	switch len(given) {
	case 1:
	case 0:
		r.wrong(path, "none of source, digest and promoteFrom",
			"one of them: digest to deploy an image that exists, promoteFrom to take another stack's, or source to build one: %s",
			r.setCommand(path+".source", "https://github.com/weave-logic-ai/clawft.git"))
	default:
		r.wrong(path, strings.Join(given, " and "), "only one of source, digest and promoteFrom")
	}
}

func (i *Image) checkSource(r *report, path, root string) {
	at := path + ".source"
	if !i.Git() {
		i.checkDirectory(r, at, root)
		if i.Ref != "" {
			r.wrong(path+".ref", quote(i.Ref), "no ref, because the source is a local directory")
		}
		return
	}
	url, fragment, hasFragment := strings.Cut(i.Source, "#")
	http := strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")
	host := strings.SplitN(strings.TrimPrefix(strings.TrimPrefix(url, "http://"), "https://"), "/", 2)[0]
	switch {
	case http && strings.Contains(host, "@"):
		r.wrong(at, "a URL with credentials", "a URL without them, because the source is recorded in the image and in the stack")
		return
	case http && !strings.HasSuffix(url, ".git"):
		r.wrong(at, quote(i.Source), "%s.git: BuildKit takes other http URLs for archives", strings.TrimSuffix(url, "/"))
	case hasFragment && i.Ref != "":
		r.wrong(path+".ref", quote(i.Ref), "the ref only once, here or behind the # of the source")
	}
	ref := i.Ref
	if hasFragment {
		ref, _, _ = strings.Cut(fragment, ":")
	}
	if (hasFragment || ref != "") && (!gitRefPattern.MatchString(ref) || strings.Contains(ref, "..")) {
		at := path + ".ref"
		if hasFragment {
			at = path + ".source"
		}
		r.wrong(at, quote(ref), "a tag, branch or commit, such as v0.6.19")
	}
}

func (i *Image) checkDirectory(r *report, path, root string) {
	info, err := os.Stat(inProject(root, i.Source))
	switch {
	case err != nil:
		r.wrong(path, quote(i.Source), "the URL of a git repository, or a directory that exists")
	case !info.IsDir():
		r.wrong(path, quote(i.Source)+", which is not a directory", "the URL of a git repository, or a directory")
	}
}

func (i *Image) checkDockerfile(r *report, path, root string) {
	info, err := os.Stat(inProject(root, i.Dockerfile))
	if err != nil || info.IsDir() {
		r.wrong(path, quote(i.Dockerfile), "a file that exists, relative to the project's directory")
	}
}

// inProject resolves a path that is relative to the project's directory. The
// path itself stays as it is in the configuration, because an absolute one
// would differ between machines.
func inProject(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

func (i *Image) checkPlatformNames(r *report, path string) {
	if len(i.Platforms) == 0 {
		r.wrong(path, "an empty list", "at least one of %s, %s", amd64, arm64)
	}
	for n, platform := range i.Platforms {
		at := elementPath(path, n)
		if slices.Contains(i.Platforms[:n], platform) {
			r.wrong(at, quote(platform)+" a second time", "each platform once")
			continue
		}
		r.oneOf(at, platform, amd64, arm64)
	}
}

func (i *Image) checkBuild(r *report, path string) {
	for _, name := range slices.Sorted(maps.Keys(i.BuildArgs)) {
		at := path + ".buildArgs." + name
		switch {
		case slices.Contains(ownArguments, name):
			r.wrong(at, "a reserved name", "another name: the pipeline sets %s itself", name)
		case !argumentPattern.MatchString(name):
			r.wrong(at, "the name "+quote(name), "letters, digits and _, not starting with a digit")
		case secretLike.MatchString(name):
			r.wrong(at, "what looks like a secret", "no secret here: build arguments can be read from the image")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.Contexts)) {
		if i.Contexts[name] == "" {
			r.wrong(path+".contexts."+name, quote(""), "a directory, a git URL, or docker-image:// and a reference")
		}
	}
	builder, cache := path+".builder", path+".cache"
	if !builderPattern.MatchString(i.Builder.Name) {
		r.wrong(builder+".name", quote(i.Builder.Name), "a name of letters, digits, dots, _ and -, starting with a letter")
	}
	r.oneOf(builder+".driver", i.Builder.Driver, "docker-container", "docker", "kubernetes", "remote")
	if i.Builder.Driver == "remote" && i.Builder.Endpoint == "" {
		r.wrong(builder+".endpoint", nothing, "where the remote builder is reached, such as tcp://buildkit.example.org:1234")
	}
	r.oneOf(cache+".type", i.Cache.Type, "auto", "gha", "registry", "local", "none")
	if i.Cache.Type == "local" && i.Cache.Path == "" {
		r.wrong(cache+".path", nothing, "the directory of the local cache")
	}
	if i.Cache.Path != "" && i.Cache.Type != "local" {
		r.wrong(cache+".path", quote(i.Cache.Path), "no path, because the cache is of type %s", i.Cache.Type)
	}
	if i.Cache.Ref != "" && !slices.Contains([]string{"auto", "registry"}, i.Cache.Type) {
		r.wrong(cache+".ref", quote(i.Cache.Ref), "no ref, because the cache is of type %s", i.Cache.Type)
	}
}

// checkLogins demands that user names and their secrets come together. The
// prefix is the project's namespace.
func (i *Image) checkLogins(r *report, prefix string, given *settings) {
	user, puller := prefix+"image.username", prefix+"image.pullUsername"
	for path, name := range map[string]string{user: i.Username, puller: i.PullUsername} {
		if strings.Contains(name, ":") {
			r.wrong(path, "a name with a colon", "a user name; the password or token belongs in a secret of its own")
		}
	}
	password, token := prefix+"registryPassword", prefix+"registryPullToken"
	if i.Username != "" && given.RegistryPassword == "" && i.Source != "" {
		r.wrong(password, nothing, "the password of image.username: %s", r.setSecretCommand(password))
	}
	if given.RegistryPassword != "" && i.Username == "" {
		r.wrong(user, nothing, "the user to whom %s belongs", password)
	}
	if i.PullUsername != "" && given.RegistryPullToken == "" {
		r.wrong(token, nothing, "the token with which image.pullUsername pulls: %s", r.setSecretCommand(token))
	}
	if given.RegistryPullToken != "" && i.PullUsername == "" && i.Username == "" {
		r.wrong(puller, nothing, "the user to whom %s belongs", token)
	}
}

// complete fills in what follows from other values.
func (i *Image) complete(s *settings) {
	if url, fragment, found := strings.Cut(i.Source, "#"); found && i.Git() {
		i.Source = url
		i.Ref, i.Subdirectory, _ = strings.Cut(fragment, ":")
	}
	slices.Sort(i.Platforms)
	if i.Cache.Ref == "" && slices.Contains([]string{"auto", "registry"}, i.Cache.Type) {
		i.Cache.Ref = i.Repository + ":buildcache"
	}
	i.completeKeys(s.SigningKey)
	server, _, _ := strings.Cut(i.Repository, "/")
	if s.RegistryPassword != "" {
		i.Push = newRegistryLogin(server, i.Username, s.RegistryPassword)
	}
	if s.RegistryPullToken != "" {
		user := i.PullUsername
		if user == "" {
			user = i.Username
		}
		i.Pull = newRegistryLogin(server, user, s.RegistryPullToken)
	}
}
