package pipeline

import (
	"testing"

	"github.com/clawft/infra/components"
)

func imageWith(keys string) map[string]string {
	return map[string]string{"image": "{repository: ghcr.io/clawft/clawft, " + keys + "}"}
}

func TestWrongImages(t *testing.T) {
	const fixed = "digest: '" + digest + "'"
	repository := func(name string) map[string]string {
		return map[string]string{"image": "{repository: '" + name + "', " + fixed + "}"}
	}
	testWrong(t, []wrongConfig{
		{"tag", repository("ghcr.io/clawft/clawft:latest"), []string{
			`clawft:image.repository: got "ghcr.io/clawft/clawft:latest"; want ghcr.io/clawft/clawft, without a tag: the version names the release`,
		}},
		{"digest in the repository", repository("ghcr.io/clawft/clawft@" + digest), []string{
			`clawft:image.repository: got "ghcr.io/clawft/clawft@sha256:0123456789abcdef0123456789abcdef0123456789abcdef012"…; want ghcr.io/clawft/clawft here, and the digest in the image's key digest`,
		}},
		{"scheme", repository("https://ghcr.io/clawft/clawft"), []string{
			`clawft:image.repository: got "https://ghcr.io/clawft/clawft"; want registry and repository without a scheme`,
		}},
		{"no registry", repository("clawft/clawft"), []string{
			`clawft:image.repository: got "clawft/clawft"; want the registry in front, such as docker.io/clawft/clawft`,
		}},
		{"no repository", repository("ghcr.io"), []string{
			`clawft:image.repository: got "ghcr.io"; want registry and repository, such as ghcr.io/clawft/clawft`,
		}},
		{"two origins", imageWith(fixed + ", source: src"), []string{
			"clawft:image: got source and digest; want only one of source, digest and promoteFrom",
		}},
		{"short digest", imageWith("digest: sha256:abc"), []string{
			`clawft:image.digest: got "sha256:abc"; want sha256: and 64 hexadecimal digits in lower case`,
		}},
		{"stack without its organization", imageWith("promoteFrom: clawft/dev"), []string{
			`clawft:image.promoteFrom: got "clawft/dev"; want a stack as organization/project/stack; on a self-managed backend the organization is literally "organization"`,
		}},
		{"missing directory", imageWith("source: ../clawft-that-is-not-here"), []string{
			`clawft:image.source: got "../clawft-that-is-not-here"; want the URL of a git repository, or a directory that exists`,
		}},
		{"file as a directory", imageWith("source: Dockerfile"), []string{
			`clawft:image.source: got "Dockerfile", which is not a directory; want the URL of a git repository, or a directory`,
		}},
		{"web page as a source", imageWith("source: 'https://github.com/weave-logic-ai/clawft'"), []string{
			`clawft:image.source: got "https://github.com/weave-logic-ai/clawft"; want https://github.com/weave-logic-ai/clawft.git: BuildKit takes other http URLs for archives`,
		}},
		{"credentials in the source", imageWith("source: 'https://canary@github.com/x/y.git'"), []string{
			"clawft:image.source: got a URL with credentials; want a URL without them, because the source is recorded in the image and in the stack",
		}},
		{"ref twice", imageWith("source: 'https://github.com/x/y.git#v1', ref: v2"), []string{
			`clawft:image.ref: got "v2"; want the ref only once, here or behind the # of the source`,
		}},
		{"ref of a directory", imageWith("source: src, ref: v2"), []string{
			`clawft:image.ref: got "v2"; want no ref, because the source is a local directory`,
		}},
		{"ref that is an option", imageWith("source: 'https://github.com/x/y.git', ref: --upload-pack=x"), []string{
			`clawft:image.ref: got "--upload-pack=x"; want a tag, branch or commit, such as v0.6.19`,
		}},
		{"empty fragment", imageWith("source: 'https://github.com/x/y.git#'"), []string{
			`clawft:image.source: got ""; want a tag, branch or commit, such as v0.6.19`,
		}},
		{"missing Dockerfile", imageWith("source: src, dockerfile: docker/Dockerfile"), []string{
			`clawft:image.dockerfile: got "docker/Dockerfile"; want a file that exists, relative to the project's directory`,
		}},
		{"platforms", imageWith(fixed + ", platforms: [linux/amd64, linux/arm, linux/amd64]"), []string{
			`clawft:image.platforms[1]: got "linux/arm"; want one of linux/amd64, linux/arm64`,
			`clawft:image.platforms[2]: got "linux/amd64" a second time; want each platform once`,
		}},
		{"no platform", imageWith(fixed + ", platforms: []"), []string{
			"clawft:image.platforms: got an empty list; want at least one of linux/amd64, linux/arm64",
		}},
		{"build arguments", imageWith(fixed + ", buildArgs: {1ST: a, CARGO_TOKEN: b, VERSION: c}, contexts: {base: ''}"), []string{
			`clawft:image.buildArgs.1ST: got the name "1ST"; want letters, digits and _, not starting with a digit`,
			"clawft:image.buildArgs.CARGO_TOKEN: got what looks like a secret; want no secret here: build arguments can be read from the image",
			"clawft:image.buildArgs.VERSION: got a reserved name; want another name: the pipeline sets VERSION itself",
			`clawft:image.contexts.base: got ""; want a directory, a git URL, or docker-image:// and a reference`,
		}},
		{"builder and cache", imageWith(fixed + ", builder: {name: -x, driver: remote}, cache: {type: s3, path: /tmp/cache}"), []string{
			"clawft:image.builder.endpoint: got nothing; want where the remote builder is reached, such as tcp://buildkit.example.org:1234",
			`clawft:image.builder.name: got "-x"; want a name of letters, digits, dots, _ and -, starting with a letter`,
			`clawft:image.cache.path: got "/tmp/cache"; want no path, because the cache is of type s3`,
			`clawft:image.cache.type: got "s3"; want one of registry, gha, local, none`,
		}},
		{"builder without a name", imageWith(fixed + ", builder: {driver: docker-container}"), []string{
			"clawft:image.builder.name: got nothing; want the name of the builder to make, such as clawft; without driver and endpoint, Docker's current builder is used",
		}},
		{"builders that cannot build it", imageWith(fixed + ", builder: {name: default, driver: docker}"), []string{
			`clawft:image.builder.driver: got "docker"; want docker-container, kubernetes or remote, or no driver to use a builder that exists: ` +
				"the driver docker is that of Docker's own builder, of which there is no second one",
			`clawft:image.builder.name: got "default"; want another builder, or no name at all: ` +
				"that one is Docker's own, which cannot build an image index and push it by its digest",
		}},
		{"endpoint of a builder that is not remote", imageWith(fixed + ", builder: {name: x, driver: docker-container, endpoint: 'tcp://x:1'}"), []string{
			`clawft:image.builder.endpoint: got "tcp://x:1"; want no endpoint, because only a builder that is made with the driver remote has one`,
		}},
		{"endpoint of a builder that exists", imageWith(fixed + ", builder: {name: x, endpoint: 'tcp://x:1'}"), []string{
			`clawft:image.builder.endpoint: got "tcp://x:1"; want no endpoint, because only a builder that is made with the driver remote has one`,
		}},
		{"driver that is none", imageWith(fixed + ", builder: {name: x, driver: cloud}"), []string{
			`clawft:image.builder.driver: got "cloud"; want one of docker-container, kubernetes, remote`,
		}},
		{"the cache in place of a release", imageWith(fixed + ", cache: {ref: 'ghcr.io/clawft/clawft:0.6.19'}"), []string{
			`clawft:image.cache.ref: got "ghcr.io/clawft/clawft:0.6.19", where releases are published; want a tag that no release has, such as ghcr.io/clawft/clawft:buildcache`,
		}},
		{"the cache in place of the latest release", imageWith(fixed + ", cache: {ref: ghcr.io/clawft/clawft}"), []string{
			`clawft:image.cache.ref: got "ghcr.io/clawft/clawft", where releases are published; want a tag that no release has, such as ghcr.io/clawft/clawft:buildcache`,
		}},
		{"the cache in place of a signature", imageWith(fixed + ", cache: {ref: 'ghcr.io/clawft/clawft:sha256-0.sig'}"), []string{
			`clawft:image.cache.ref: got "ghcr.io/clawft/clawft:sha256-0.sig", where releases are published; want a tag that no release has, such as ghcr.io/clawft/clawft:buildcache`,
		}},
		{"a cache nowhere", imageWith(fixed + ", cache: {ref: 'https://ghcr.io/x, y'}"), []string{
			`clawft:image.cache.ref: got "https://ghcr.io/x, y"; want registry, repository and tag, such as ghcr.io/clawft/clawft:buildcache`,
		}},
		{"local cache without a directory", imageWith(fixed + ", cache: {type: local, ref: r.example/x}"), []string{
			"clawft:image.cache.path: got nothing; want the directory of the local cache",
			`clawft:image.cache.ref: got "r.example/x"; want no ref, because the cache is of type local`,
		}},
		{"size limit", imageWith(fixed + ", sizeLimitMiB: 0"), []string{
			"clawft:image.sizeLimitMiB: got 0; want 1 to 10240 MiB",
		}},
		{"token of a source that takes none", map[string]string{"image": "{repository: ghcr.io/clawft/clawft, source: src}", "sourceToken": "{secure: canary}"}, []string{
			"clawft:sourceToken: got a token; want none, because image.source is not a git repository with an address that begins with https://",
		}},
		{"token in the open", map[string]string{"image": "{repository: ghcr.io/clawft/clawft, source: 'http://git.example.org/x/y.git'}", "sourceToken": "{secure: canary}"}, []string{
			"clawft:sourceToken: got a token; want none, because image.source is not a git repository with an address that begins with https://",
		}},
		{"token with SSH", map[string]string{"image": "{repository: ghcr.io/clawft/clawft, source: 'git@github.com:x/y.git'}", "sourceToken": "{secure: canary}"}, []string{
			"clawft:sourceToken: got a token; want none, because image.source is not a git repository with an address that begins with https://",
		}},
		{"token with its user", map[string]string{"image": "{repository: ghcr.io/clawft/clawft, source: 'https://github.com/x/y.git', sourceUsername: 'a:b'}", "sourceToken": "{secure: ' canary'}"}, []string{
			`clawft:image.sourceUsername: got "a:b"; want a user name without a colon`,
			"clawft:sourceToken: got a value with blanks around it or of several lines; want the token alone",
		}},
		{"user without a token", imageWith("source: 'https://github.com/x/y.git', sourceUsername: bot"), []string{
			"clawft:sourceToken: got nothing; want the token of image.sourceUsername: pulumi config set --stack dev --secret clawft:sourceToken",
		}},
		{"rebuild of what is not built", imageWith(fixed + ", revision: 2"), []string{
			"clawft:image.revision: got 2; want none, because this stack builds nothing that could be built again",
		}},
		{"rebuild as a version", map[string]string{"version": "0.6.19-r2"}, []string{
			`clawft:version: got "0.6.19-r2"; want 0.6.19: a release that is built again is published under this tag by clawft:image.revision 2`,
		}},
		{"user without a password", imageWith("source: src, username: bot"), []string{
			`clawft:registryPassword: got nothing; want the password of image.username: pulumi config set --stack dev --secret clawft:registryPassword`,
		}},
		{"puller without a token", imageWith(fixed + ", pullUsername: bot"), []string{
			`clawft:registryPullToken: got nothing; want the token with which image.pullUsername pulls: pulumi config set --stack dev --secret clawft:registryPullToken`,
		}},
		{"user with a password", imageWith("source: src, username: 'bot:canary'"), []string{
			"clawft:image.username: got a name with a colon; want a user name; the password or token belongs in a secret of its own",
			`clawft:registryPassword: got nothing; want the password of image.username: pulumi config set --stack dev --secret clawft:registryPassword`,
		}},
		{"password and token without a user", map[string]string{"registryPassword": "{secure: x}", "registryPullToken": "{secure: x}"}, []string{
			"clawft:image.pullUsername: got nothing; want the user to whom clawft:registryPullToken belongs",
			"clawft:image.username: got nothing; want the user to whom clawft:registryPassword belongs",
		}},
	})
}

func TestImageContexts(t *testing.T) {
	const url = "https://github.com/weave-logic-ai/clawft.git"
	for _, c := range []struct{ name, keys, ref, pinned, label string }{
		{"git at the version's tag", "source: '" + url + "'", "v0.6.19", url + "#COMMIT", "https://github.com/weave-logic-ai/clawft"},
		{"git at a ref", "source: '" + url + "', ref: main", "main", url + "#COMMIT", "https://github.com/weave-logic-ai/clawft"},
		{"git with a fragment", "source: '" + url + "#main:crates'", "main", url + "#COMMIT:crates", "https://github.com/weave-logic-ai/clawft"},
		{"git over SSH", "source: 'git@github.com:x/y.git'", "v0.6.19", "git@github.com:x/y.git#COMMIT", "https://github.com/x/y"},
		{"git over SSH, as a URL", "source: 'ssh://git@git.example.org:2222/x/y.git'", "v0.6.19",
			"ssh://git@git.example.org:2222/x/y.git#COMMIT", "https://git.example.org/x/y"},
		{"git's own protocol", "source: 'git://git.example.org/x/y.git'", "v0.6.19", "git://git.example.org/x/y.git#COMMIT", "git://git.example.org/x/y"},
		{"directory", "source: ./src", "", "./src", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := with(imageWith(c.keys)).load(t, "dev")
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Image; got.Ref != c.ref || got.pinned("COMMIT") != c.pinned || got.sourceLabel() != c.label {
				t.Errorf("got ref %q, context %q, label %q", got.Ref, got.pinned("COMMIT"), got.sourceLabel())
			}
		})
	}
}

func TestCaches(t *testing.T) {
	registry := components.Cache{Type: "registry", Ref: "ghcr.io/clawft/clawft:buildcache"}
	for _, c := range []struct {
		keys string
		want components.Cache
	}{
		{"", registry},
		{"cache: {type: registry}", registry},
		{"cache: {type: registry, ref: r.example/c}", components.Cache{Type: "registry", Ref: "r.example/c"}},
		{"cache: {type: local, path: /var/cache/build}", components.Cache{Type: "local", Ref: "/var/cache/build"}},
		{"cache: {type: gha}", components.Cache{Type: "gha"}},
		{"cache: {type: none}", components.Cache{}},
	} {
		t.Run(c.keys, func(t *testing.T) {
			cfg, err := with(imageWith("source: src, "+c.keys)).load(t, "dev")
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Image.Cache.component(); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// GitHub names the repository Weave-Logic-AI/ClawFT, and GHCR takes lower case.
func TestRepositoriesAreLowerCase(t *testing.T) {
	cfg, err := with(map[string]string{"image": "{repository: GHCR.io/Weave-Logic-AI/ClawFT, source: src}"}).load(t, "dev")
	if err != nil {
		t.Fatal(err)
	}
	const want = "ghcr.io/weave-logic-ai/clawft"
	if got := cfg.Image.Repository; got != want {
		t.Errorf("the repository is %q, want %q", got, want)
	}
	if got := cfg.Image.Cache.Ref; got != want+":buildcache" {
		t.Errorf("the cache is %q", got)
	}
}

func TestRegistriesByAddress(t *testing.T) {
	for _, repository := range []string{"172.30.0.1:5000/clawft/clawft", "localhost/clawft", "registry.example.org/a/b-c/d.e__f"} {
		_, err := with(map[string]string{"image": "{repository: '" + repository + "', digest: '" + digest + "'}"}).load(t, "dev")
		if err != nil {
			t.Errorf("%s: %v", repository, err)
		}
	}
}
