package dockerbuild

import (
	"slices"
	"strings"
	"testing"

	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
)

func TestEntries(t *testing.T) {
	for _, c := range []struct {
		name string
		args imageArgs
		want []string // outputs, then cache-from, then cache-to
	}{
		{
			name: "pushed by digest",
			args: imageArgs{Exports: []sdk.Export{{Registry: (&sdk.ExportRegistry{
				Names: []string{"ghcr.io/clawft/clawft"}, PushByDigest: ptr(true), OciMediaTypes: ptr(true),
			}).Defaults()}}},
			want: []string{"type=image,name=ghcr.io/clawft/clawft,oci-mediatypes=true,push=true,push-by-digest=true,store=true"},
		},
		{
			name: "push and load flags",
			args: imageArgs{Push: true, Load: true, Tags: []string{"ghcr.io/clawft/clawft:0.6.19"}},
			want: []string{"type=image,push=true", "type=docker"},
		},
		{
			name: "raw, with an alias",
			args: imageArgs{Exports: []sdk.Export{{Raw: ptr("type=registry,name=ghcr.io/clawft/clawft")}}},
			want: []string{"type=image,name=ghcr.io/clawft/clawft,push=true"},
		},
		{
			name: "disabled ones",
			args: imageArgs{
				Exports:   []sdk.Export{{Disabled: ptr(true), Raw: ptr("type=nonsense,")}},
				CacheFrom: []sdk.CacheFrom{{Disabled: ptr(true), Registry: &sdk.CacheFromRegistry{Ref: "r"}}},
				CacheTo:   []sdk.CacheTo{{Disabled: ptr(true), Inline: &sdk.CacheToInline{}}},
			},
		},
		{
			name: "annotations with a comma",
			args: imageArgs{Exports: []sdk.Export{{Image: &sdk.ExportImage{
				Annotations: map[string]string{"authors": "one, two"},
			}}}},
			want: []string{`type=image,"annotation.authors=one, two"`},
		},
		{
			name: "compression with a level",
			args: imageArgs{Exports: []sdk.Export{{Oci: (&sdk.ExportOCI{
				Dest: ptr("image.tar"), Compression: ptr(sdk.CompressionTypeZstd), CompressionLevel: ptr(19),
			}).Defaults()}}},
			want: []string{"type=oci,compression=zstd,compression-level=19,dest=image.tar,force-compression=false,oci-mediatypes=true,tar=true"},
		},
		{
			name: "registry cache",
			args: imageArgs{
				CacheFrom: []sdk.CacheFrom{{Registry: &sdk.CacheFromRegistry{Ref: "ghcr.io/clawft/clawft:cache"}}},
				CacheTo: []sdk.CacheTo{{Registry: (&sdk.CacheToRegistry{
					Ref: "ghcr.io/clawft/clawft:cache", Mode: ptr(sdk.CacheModeMax),
				}).Defaults()}},
			},
			want: []string{
				"type=registry,ref=ghcr.io/clawft/clawft:cache",
				"type=registry,ignore-error=false,image-manifest=false,mode=max,oci-mediatypes=true,ref=ghcr.io/clawft/clawft:cache",
			},
		},
		{
			name: "local cache, whose mode the plugin drops",
			args: imageArgs{
				CacheFrom: []sdk.CacheFrom{{Local: &sdk.CacheFromLocal{Src: "cache"}}},
				CacheTo:   []sdk.CacheTo{{Local: &sdk.CacheToLocal{Dest: "cache", Mode: ptr(sdk.CacheModeMax)}}},
			},
			want: []string{"type=local,src=cache", "type=local,dest=cache"},
		},
		{
			name: "cache of GitHub Actions",
			args: imageArgs{
				CacheFrom: []sdk.CacheFrom{{Gha: (&sdk.CacheFromGitHubActions{}).Defaults()}},
				CacheTo:   []sdk.CacheTo{{Gha: &sdk.CacheToGitHubActions{Mode: ptr(sdk.CacheModeMax)}}},
			},
			want: []string{"type=gha,scope=buildkit", "type=gha,mode=max"},
		},
		{
			name: "caches of clouds",
			args: imageArgs{
				CacheFrom: []sdk.CacheFrom{{S3: &sdk.CacheFromS3{Bucket: "b", Region: "r", UsePathStyle: ptr(true)}}},
				CacheTo:   []sdk.CacheTo{{Azblob: &sdk.CacheToAzureBlob{Name: "n", AccountUrl: ptr("https://a")}}},
			},
			want: []string{"type=s3,bucket=b,region=r,use_path_style=true", "type=azblob,account_url=https://a,name=n"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			fail := func(index int, err error) { t.Errorf("entry %d: %v", index, err) }
			got := slices.Concat(texts(c.args.exports(fail)), texts(c.args.cacheFrom(fail)), texts(c.args.cacheTo(fail)))
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
			// What is written is read as the same.
			for _, text := range got {
				again, err := parseEntry(text)
				if err != nil {
					t.Errorf("reading %s: %v", text, err)
				} else if again.String() != text {
					t.Errorf("%s is read as %s", text, again)
				}
			}
		})
	}
}
