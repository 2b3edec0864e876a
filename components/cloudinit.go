package components

import (
	"errors"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The cloudinit plugin is called by token, because its Go SDK is not served as
// a module. Everything that the SDK would replace is in this file.
const (
	cloudinitVersion   = "1.6.1"
	cloudinitGetConfig = "cloudinit:index/getConfig:getConfig"
)

type cloudinitProvider struct {
	pulumi.ProviderResourceState
}

func newCloudinitProvider(ctx *pulumi.Context, name string) (*cloudinitProvider, error) {
	p := &cloudinitProvider{}
	err := ctx.RegisterResource("pulumi:providers:cloudinit", name, pulumi.Map{}, p, pulumi.Version(cloudinitVersion))
	return p, err
}

// cloudinitPart is one part of the MIME multipart user-data.
type cloudinitPart struct {
	ContentType string
	Filename    string
	Content     pulumi.StringInput
}

// cloudinitUserData assembles user-data from its parts, uncompressed: Hetzner
// passes user-data on as text. The result is secret if a part is.
func cloudinitUserData(ctx *pulumi.Context, parts []cloudinitPart, opts ...pulumi.InvokeOption) pulumi.StringOutput {
	array := make(pulumi.MapArray, 0, len(parts))
	for _, part := range parts {
		array = append(array, pulumi.Map{
			"contentType": pulumi.String(part.ContentType),
			"filename":    pulumi.String(part.Filename),
			"content":     part.Content,
		})
	}
	args := pulumi.Map{
		"gzip":         pulumi.Bool(false),
		"base64Encode": pulumi.Bool(false),
		"parts":        array,
	}
	options := pulumi.InvokeOutputOptions{InvokeOptions: append(opts, pulumi.Version(cloudinitVersion))}
	result := ctx.InvokeOutput(cloudinitGetConfig, args, pulumi.MapOutput{}, options)
	return result.(pulumi.MapOutput).ApplyT(func(rendered map[string]any) (string, error) {
		text, ok := rendered["rendered"].(string)
		if !ok {
			return "", errors.New("assembling user-data: the cloudinit plugin's answer has no text in \"rendered\"")
		}
		return text, nil
	}).(pulumi.StringOutput)
}
