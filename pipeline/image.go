package pipeline

import (
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
	// to the project's. A private repository is read with `sourceToken`, or, if its
	// address is one for SSH, with the keys in the agent of the machine that runs
	// Pulumi.
	Source string `json:"source"`
	// Tag, branch or commit to build from a git source. Default: v and the
	// version. May also stand behind the URL: …/clawft.git#v0.6.19.
	Ref string `json:"ref"`
	// User to whom `sourceToken` belongs. Most tokens do not care, but a deploy token
	// of GitLab does.
	SourceUsername string `json:"sourceUsername" default:"x-access-token"`
	// Dockerfile, relative to the project's directory.
	Dockerfile string `json:"dockerfile" default:"Dockerfile"`
	// Platforms to build: linux/amd64, linux/arm64.
	Platforms []string `json:"platforms" default:"linux/amd64,linux/arm64"`
	// Build arguments. They can be read from the image: no secrets here.
	BuildArgs map[string]string `json:"buildArgs"`
	// Named build contexts; one can replace a base image, such as
	// `debian:bookworm-slim: docker-image://mirror.example.org/debian:bookworm-slim`.
	Contexts map[string]string `json:"contexts"`
	// The buildx builder. Absent: Docker's current one on the machine that builds.
	// If that one uses Docker's own driver, which cannot build an image index,
	// another one that answers is used, or one is made.
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
	// should: a version is published once, and never with other content. One that
	// is published already, signed by a key of this stack and built from the same
	// commit, is deployed as it is and not built again.
	Publish bool `json:"publish" default:"false"`
	// Publishes a version again that was built anew on purpose, such as for a base
	// image with a security fix: 1 and the version 0.6.19 become the tag 0.6.19-r1.
	// Nothing of an earlier build is used. X.Y, X and latest move to it as they
	// would to the version; the tag of the version stays where it is.
	Revision int `json:"revision" default:"0"`
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

	// SourceToken is empty for a source that is public or reached with SSH.
	SourceToken string `json:"-"`
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
	// Name of a builder that the machine that builds has.
	Name string `json:"name"`
	// Makes the builder with this driver where it does not exist:
	// docker-container, kubernetes or remote. The stack's state then holds what is
	// on one machine, so this is for stacks that one machine builds; others make
	// the builder beforehand and give its name alone.
	Driver string `json:"driver"`
	// Where the builder of the driver remote is reached.
	Endpoint string `json:"endpoint"`
}

// Cache says where build layers are cached. A cache that cannot be read or
// written makes a build slower and fails none.
type Cache struct {
	// Type: registry, gha, local or none. gha is the cache of GitHub Actions: a
	// build anywhere else finds nothing there and keeps nothing.
	Type string `json:"type" default:"registry"`
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

// pushes is true if this stack writes to the image's repository.
func (i Image) pushes() bool { return i.Source != "" || i.Publish }

// reader is the login that reads what is in the registry, or nil for Docker's own.
// Who pushes reads as well.
func (i Image) reader() *RegistryLogin {
	if i.Push != nil || i.pushes() {
		return i.Push
	}
	return i.Pull
}

// puller is the login of the hosts, which have none but what they are given.
func (i Image) puller() *registry.Login {
	if i.Pull == nil {
		return registry.Nobody
	}
	return i.Pull.registry()
}

// Git is true if the image is built from a git repository.
func (i Image) Git() bool { return isGitURL(i.Source) }

// git is the repository of a git source.
func (i Image) git() components.Source {
	return components.Source{URL: i.Source, Username: i.SourceUsername, Token: i.SourceToken}
}

// sourceLogin is nil where the build needs none.
func (i Image) sourceLogin() *components.SourceLogin {
	source := i.git()
	switch {
	case !i.Git():
		return nil
	case source.SSH():
		return &components.SourceLogin{SSH: true}
	case source.Token == "":
		return nil
	}
	return &components.SourceLogin{Host: source.Host(), Header: secret(source.Header())}
}

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

// sourceLabel is the address of the source repository for the image's labels, as
// a browser takes it, or "" where there is none to show.
func (i Image) sourceLabel() string {
	if !i.Git() {
		return ""
	}
	address := strings.TrimSuffix(i.Source, ".git")
	for _, pattern := range []*regexp.Regexp{scpPattern, sshURLPattern} {
		if found := pattern.FindStringSubmatch(address); found != nil {
			return "https://" + found[1] + "/" + found[2]
		}
	}
	return address
}

func (c Cache) component() components.Cache {
	switch c.Type {
	case "local":
		return components.Cache{Type: c.Type, Ref: c.Path}
	case "none":
		return components.Cache{}
	}
	return components.Cache{Type: c.Type, Ref: c.Ref}
}

// complete fills in what follows from other values.
func (i *Image) complete(s *settings) {
	if url, fragment, found := strings.Cut(i.Source, "#"); found && i.Git() {
		i.Source = url
		i.Ref, i.Subdirectory, _ = strings.Cut(fragment, ":")
	}
	i.SourceToken = s.SourceToken
	slices.Sort(i.Platforms)
	if i.Cache.Ref == "" && i.Cache.Type == "registry" {
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
