package provider_test

import (
	"context"
	"reflect"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The types below have the form that SDKs are generated in.

type disk struct {
	Size   int     `pulumi:"size"`
	Format *string `pulumi:"format"`
}

type thingArgs struct {
	Name     *string           `pulumi:"name"`
	Kind     string            `pulumi:"kind"`
	Weight   *float64          `pulumi:"weight"`
	Disks    []disk            `pulumi:"disks"`
	Labels   map[string]string `pulumi:"labels"`
	Anything any               `pulumi:"anything"`
	Source   pulumi.Asset      `pulumi:"source"`
	Token    *string           `pulumi:"token"`
}

// ThingArgs has inputs in its fields, and names the plain type.
type ThingArgs struct {
	Name, Weight, Token pulumi.StringPtrInput
	Kind                pulumi.StringInput
	Disks, Anything     pulumi.Input
	Labels              pulumi.StringMapInput
	Source              pulumi.AssetInput
}

func (ThingArgs) ElementType() reflect.Type { return reflect.TypeFor[thingArgs]() }

type DiskArrayOutput struct{ *pulumi.OutputState }

func (DiskArrayOutput) ElementType() reflect.Type { return reflect.TypeFor[[]disk]() }

func (o DiskArrayOutput) ToDiskArrayOutputWithContext(context.Context) DiskArrayOutput { return o }

type Thing struct {
	pulumi.CustomResourceState

	Name    pulumi.StringOutput     `pulumi:"name"`
	Kind    pulumi.StringOutput     `pulumi:"kind"`
	Weight  pulumi.Float64PtrOutput `pulumi:"weight"`
	Disks   DiskArrayOutput         `pulumi:"disks"`
	Labels  pulumi.StringMapOutput  `pulumi:"labels"`
	Token   pulumi.StringPtrOutput  `pulumi:"token"`
	Address pulumi.StringOutput     `pulumi:"address"`
	Serial  pulumi.IntOutput        `pulumi:"serial"`
	Note    pulumi.StringPtrOutput  `pulumi:"note"`
}

func (*Thing) ElementType() reflect.Type { return reflect.TypeFor[*Thing]() }

type providerArgs struct {
	Endpoint *string  `pulumi:"endpoint"`
	Retries  *int     `pulumi:"retries"`
	Options  []string `pulumi:"options"`
}

type ProviderArgs struct{ Endpoint, Retries, Options pulumi.Input }

func (ProviderArgs) ElementType() reflect.Type { return reflect.TypeFor[providerArgs]() }

type GetThingArgs struct {
	Kind  string   `pulumi:"kind"`
	Names []string `pulumi:"names"`
}

type GetThingResult struct {
	ID      string  `pulumi:"id"`
	Comment *string `pulumi:"comment"`
	Key     string  `pulumi:"key"`
}
