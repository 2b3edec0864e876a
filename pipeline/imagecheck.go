package pipeline

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

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
	scpPattern        = regexp.MustCompile(`^[^/@]+@([^/:]+):/?(.+)$`)
	sshURLPattern     = regexp.MustCompile(`^ssh://(?:[^/@]+@)?([^/:]+)(?::[0-9]+)?/(.+)$`)
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
	r.between(path+".revision", i.Revision, 0, 9999, "")
	if i.Revision > 0 && i.Source == "" {
		r.wrong(path+".revision", strconv.Itoa(i.Revision), "none, because this stack builds nothing that could be built again")
	}
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

// loopback is where a token may go unencrypted.
var loopback = regexp.MustCompile(`^http://(127\.[0-9.]+|localhost|\[::1\])[:/]`)

// checkSourceToken demands that a token has a source that takes one. The prefix is
// the project's namespace.
func (i *Image) checkSourceToken(r *report, prefix, token string) {
	const userDefault = "x-access-token"
	at := prefix + "sourceToken"
	switch {
	case token == "":
		if i.SourceUsername != userDefault {
			r.wrong(at, nothing, "the token of image.sourceUsername: %s", r.setSecretCommand(at))
		}
		return
	case !strings.HasPrefix(i.Source, "https://") && !loopback.MatchString(i.Source):
		r.wrong(at, "a token", "none, because image.source is not a git repository with an address that begins with https://")
	case strings.ContainsFunc(token, isControl) || strings.TrimSpace(token) != token:
		r.wrong(at, "a value with blanks around it or of several lines", "the token alone")
	}
	if i.SourceUsername == "" || strings.Contains(i.SourceUsername, ":") || strings.ContainsFunc(i.SourceUsername, isControl) {
		r.wrong(prefix+"image.sourceUsername", quote(i.SourceUsername), "a user name without a colon")
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
	i.Builder.check(r, path+".builder")
	cache := path + ".cache"
	r.oneOf(cache+".type", i.Cache.Type, "registry", "gha", "local", "none")
	if i.Cache.Type == "local" && i.Cache.Path == "" {
		r.wrong(cache+".path", nothing, "the directory of the local cache")
	}
	if i.Cache.Path != "" && i.Cache.Type != "local" {
		r.wrong(cache+".path", quote(i.Cache.Path), "no path, because the cache is of type %s", i.Cache.Type)
	}
	switch {
	case i.Cache.Ref == "":
	case i.Cache.Type != "registry":
		r.wrong(cache+".ref", quote(i.Cache.Ref), "no ref, because the cache is of type %s", i.Cache.Type)
	default:
		i.checkCacheRef(r, cache+".ref")
	}
}

// releaseTag is a tag that a release may have, or what is attached to one.
var releaseTag = regexp.MustCompile(`^([0-9]|latest$|sha256-)`)

// checkCacheRef demands a tag that no release has: each build moves it.
func (i *Image) checkCacheRef(r *report, path string) {
	ref, err := name.NewTag(i.Cache.Ref)
	if err != nil {
		r.wrong(path, quote(i.Cache.Ref), "registry, repository and tag, such as ghcr.io/clawft/clawft:buildcache")
		return
	}
	own, err := name.NewRepository(i.Repository)
	if err == nil && ref.Context() == own && releaseTag.MatchString(ref.TagStr()) {
		r.wrong(path, quote(i.Cache.Ref)+", where releases are published", "a tag that no release has, such as %s:buildcache", i.Repository)
	}
}

func (b Builder) check(r *report, path string) {
	switch {
	case b.Name == "" && (b.Driver != "" || b.Endpoint != ""):
		r.wrong(path+".name", nothing, "the name of the builder to make, such as clawft; without driver and endpoint, Docker's current builder is used")
	case b.Name == "default":
		r.wrong(path+".name", quote(b.Name), "another builder, or no name at all: that one is Docker's own, which cannot build an image index and push it by its digest")
	case b.Name != "" && !builderPattern.MatchString(b.Name):
		r.wrong(path+".name", quote(b.Name), "a name of letters, digits, dots, _ and -, starting with a letter")
	}
	const remote = "remote"
	if b.Driver == "docker" {
		r.wrong(path+".driver", quote(b.Driver), "docker-container, kubernetes or remote, or no driver to use a builder that exists: "+
			"the driver docker is that of Docker's own builder, of which there is no second one")
	} else if b.Driver != "" {
		r.oneOf(path+".driver", b.Driver, "docker-container", "kubernetes", remote)
	}
	switch {
	case b.Driver == remote && b.Endpoint == "":
		r.wrong(path+".endpoint", nothing, "where the remote builder is reached, such as tcp://buildkit.example.org:1234")
	case b.Driver != remote && b.Endpoint != "":
		r.wrong(path+".endpoint", quote(b.Endpoint), "no endpoint, because only a builder that is made with the driver remote has one")
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
