package components

import (
	"maps"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi-command/sdk/go/command"
	"github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi-github/sdk/v6/go/github"
	"github.com/pulumi/pulumi-hcloud/sdk/go/hcloud"
	"github.com/pulumi/pulumi-tls/sdk/v5/go/tls"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// pluginArgs are what the providers of the plugins take, by the namespace in
// which a stack configures them.
var pluginArgs = map[string]pulumi.Input{
	"cloudinit":    pulumi.Map{}, // takes nothing
	"command":      command.ProviderArgs{},
	"docker":       docker.ProviderArgs{},
	"docker-build": dockerbuild.ProviderArgs{},
	"github":       github.ProviderArgs{},
	"hcloud":       hcloud.ProviderArgs{},
	"tls":          tls.ProviderArgs{},
}

// Plugins are the namespaces in which a stack configures plugins, in order.
func Plugins() []string {
	return slices.Sorted(maps.Keys(pluginArgs))
}

// PluginSettings are the keys that the namespace of a plugin has, in order.
func PluginSettings(plugin string) []string {
	var keys []string
	args := pluginArgs[plugin]
	if args == nil || args.ElementType().Kind() != reflect.Struct {
		return nil
	}
	for field := range args.ElementType().Fields() {
		keys = append(keys, field.Tag.Get("pulumi"))
	}
	slices.Sort(keys)
	return keys
}

// credential are the settings of plugins that hold one, whole or in part.
var credential = []string{
	"docker:keyMaterial", "docker:registryAuth", "docker-build:registries", "github:appAuth", "github:token", "hcloud:token", "tls:proxy",
}

// Credential is true of a setting, such as github:token, that belongs into a stack's
// configuration encrypted, and is a secret all the same if it is not.
func Credential(path string) bool { return slices.Contains(credential, path) }

// configured gives a provider what the stack's configuration says of its plugin,
// as Pulumi gives it to a provider that nobody registers: each value as the text
// that it has there, which is JSON for whatever is no text. What the provider's
// arguments say counts more, except for inputs that its SDK reads from the environment.
func configured(ctx *pulumi.Context, plugin string, ambient ...string) pulumi.ResourceOption {
	return pulumi.Transformations([]pulumi.ResourceTransformation{
		func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			inputs := inputsOf(args.Props)
			for _, key := range PluginSettings(plugin) {
				path := plugin + ":" + key
				value, given := ctx.GetConfig(path)
				switch {
				case !given || inputs[key] != nil && !slices.Contains(ambient, key):
				case ctx.IsConfigSecret(path) || Credential(path):
					inputs[key] = pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
				default:
					inputs[key] = pulumi.String(value)
				}
			}
			return &pulumi.ResourceTransformationResult{Props: inputs, Opts: args.Opts}
		},
	})
}

// inputsOf are the arguments of a provider by the names that the plugin has for them.
func inputsOf(args pulumi.Input) pulumi.Map {
	inputs := pulumi.Map{}
	given := reflect.Indirect(reflect.ValueOf(args))
	if given.Kind() != reflect.Struct {
		return inputs
	}
	named := args.ElementType()
	for i := range given.NumField() {
		field, found := named.FieldByName(given.Type().Field(i).Name)
		if input, ok := given.Field(i).Interface().(pulumi.Input); found && ok {
			inputs[field.Tag.Get("pulumi")] = input
		}
	}
	return inputs
}
