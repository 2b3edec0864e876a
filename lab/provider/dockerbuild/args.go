package dockerbuild

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// imageArgs are an Image's inputs, in the SDK's own plain types.
type imageArgs struct {
	AddHosts       []string           `pulumi:"addHosts"`
	BuildArgs      map[string]string  `pulumi:"buildArgs"`
	BuildOnPreview bool               `pulumi:"buildOnPreview"`
	Builder        *sdk.BuilderConfig `pulumi:"builder"`
	CacheFrom      []sdk.CacheFrom    `pulumi:"cacheFrom"`
	CacheTo        []sdk.CacheTo      `pulumi:"cacheTo"`
	Context        sdk.BuildContext   `pulumi:"context"`
	Dockerfile     sdk.Dockerfile     `pulumi:"dockerfile"`
	Exports        []sdk.Export       `pulumi:"exports"`
	IgnoredSecrets []string           `pulumi:"ignoreSecretsInDiffCalculation"`
	Labels         map[string]string  `pulumi:"labels"`
	Load           bool               `pulumi:"load"`
	Network        string             `pulumi:"network"`
	NoCache        bool               `pulumi:"noCache"`
	Platforms      []string           `pulumi:"platforms"`
	Pull           bool               `pulumi:"pull"`
	Push           bool               `pulumi:"push"`
	Registries     []sdk.Registry     `pulumi:"registries"`
	Secrets        map[string]string  `pulumi:"secrets"`
	SSH            []sdk.SSH          `pulumi:"ssh"`
	Tags           []string           `pulumi:"tags"`
	Target         string             `pulumi:"target"`
}

// imageState is what is recorded of an Image.
type imageState struct {
	Digest      string `pulumi:"digest"`
	ContextHash string `pulumi:"contextHash"`
	Ref         string `pulumi:"ref"`
}

func (s imageState) outputs() property.Map {
	return property.NewMap(map[string]property.Value{
		"digest":      property.New(s.Digest),
		"contextHash": property.New(s.ContextHash),
		"ref":         property.New(s.Ref),
	})
}

// decodeImage reads inputs that were checked. What is still unknown is left
// out, as if it had not been given.
func decodeImage(inputs property.Map) (imageArgs, error) {
	var args imageArgs
	err := provider.Decode(known(property.New(inputs)).AsMap(), &args)
	for i := range args.Exports {
		args.Exports[i] = *args.Exports[i].Defaults()
	}
	for i := range args.CacheFrom {
		args.CacheFrom[i] = *args.CacheFrom[i].Defaults()
	}
	for i := range args.CacheTo {
		args.CacheTo[i] = *args.CacheTo[i].Defaults()
	}
	return args, err
}

// known leaves out unknown values at every depth.
func known(v property.Value) property.Value {
	switch {
	case v.IsMap():
		m := map[string]property.Value{}
		for name, item := range v.AsMap().All {
			if !item.IsComputed() {
				m[name] = known(item)
			}
		}
		return property.WithGoValue(v, m)
	case v.IsArray():
		var items []property.Value
		for _, item := range v.AsArray().All {
			if !item.IsComputed() {
				items = append(items, known(item))
			}
		}
		return property.WithGoValue(v, items)
	default:
		return v
	}
}

// defaults fills in what the plugin records for inputs that were left out, and
// makes secret what it takes for secret.
func (i *images) defaults(inputs property.Map) property.Map {
	if logins := inputs.Get("registries"); logins.IsArray() {
		hidden := make([]property.Value, 0, logins.AsArray().Len())
		for _, login := range logins.AsArray().All {
			hidden = append(hidden, hidePassword(login))
		}
		inputs = inputs.Set("registries", property.WithGoValue(logins, hidden))
	}
	fill := func(name string, value property.Value) {
		if inputs.Get(name).IsNull() {
			inputs = inputs.Set(name, value)
		}
	}
	fill("buildOnPreview", property.New(true))
	fill("network", property.New("default"))
	fill("context", property.New(map[string]property.Value{"location": property.New(".")}))

	context, dockerfile := inputs.Get("context"), inputs.Get("dockerfile")
	if !context.IsMap() || !context.AsMap().Get("location").IsString() {
		return inputs
	}
	location := context.AsMap().Get("location").AsString()
	given := property.Map{}
	if dockerfile.IsMap() {
		given = dockerfile.AsMap()
	}
	if dockerfile.IsComputed() || isRemote(location) || !given.Get("location").IsNull() || !given.Get("inline").IsNull() {
		return inputs
	}
	given = given.Set("location", property.New(filepath.Join(location, "Dockerfile")))
	return inputs.Set("dockerfile", property.New(given))
}

// hidePassword makes the password of a registry login secret.
func hidePassword(login property.Value) property.Value {
	if !login.IsMap() || login.AsMap().Get("password").IsNull() {
		return login
	}
	password := login.AsMap().Get("password").WithSecret(true)
	return property.WithGoValue(login, login.AsMap().Set("password", password))
}

// isRemote tells a URL or git reference, which BuildKit fetches itself, from a
// path.
func isRemote(location string) bool {
	if strings.HasPrefix(location, "https://") || strings.HasPrefix(location, "http://") {
		return true
	}
	_, isGit, _ := dfgitutil.ParseGitRef(location)
	return isGit
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func (a *imageArgs) dockerfile() string { return value(a.Dockerfile.Location) }
func (a *imageArgs) inline() string     { return value(a.Dockerfile.Inline) }

// named are the additional build contexts.
func (a *imageArgs) named() map[string]string {
	named := map[string]string{}
	for name, context := range a.Context.Named {
		named[name] = context.Location
	}
	return named
}

// value is what p points at, or nothing.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
