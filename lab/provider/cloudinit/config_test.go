package cloudinit_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"hash/crc32"
	"io"
	"strconv"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/clawft/infra/lab/provider/cloudinit"
)

type props = map[string]property.Value

func getConfig(t *testing.T, args props) (p.InvokeResponse, error) {
	return cloudinit.New().Invoke(t.Context(), p.InvokeRequest{
		Token: "cloudinit:index/getConfig:getConfig", Args: property.NewMap(args),
	})
}

func part(fields ...string) property.Value {
	m := property.Map{}
	for i := 0; i < len(fields); i += 2 {
		m = m.Set(fields[i], property.New(fields[i+1]))
	}
	return property.New(m)
}

func TestRendered(t *testing.T) {
	plain := func(args props) props {
		args["gzip"], args["base64Encode"] = property.New(false), property.New(false)
		return args
	}
	tests := map[string]struct {
		args props
		want string
	}{
		"one part": {
			args: plain(props{"parts": property.New([]property.Value{part("content", "#!/bin/sh\ntrue\n", "contentType", "text/x-shellscript")})}),
			want: "Content-Type: multipart/mixed; boundary=\"MIMEBOUNDARY\"\nMIME-Version: 1.0\r\n\r\n" +
				"--MIMEBOUNDARY\r\nContent-Transfer-Encoding: 7bit\r\nContent-Type: text/x-shellscript\r\nMime-Version: 1.0\r\n\r\n" +
				"#!/bin/sh\ntrue\n\r\n--MIMEBOUNDARY--\r\n",
		},
		"every field, and an empty part of the default type": {
			args: plain(props{"boundary": property.New("//"), "parts": property.New([]property.Value{
				part("content", "a", "contentType", "text/cloud-config", "filename", "a.yaml", "mergeType", "list()+dict()+str()"),
				part("content", "", "filename", ""),
			})}),
			want: "Content-Type: multipart/mixed; boundary=\"//\"\nMIME-Version: 1.0\r\n\r\n" +
				"--//\r\nContent-Disposition: attachment; filename=\"a.yaml\"\r\nContent-Transfer-Encoding: 7bit\r\n" +
				"Content-Type: text/cloud-config\r\nMime-Version: 1.0\r\nX-Merge-Type: list()+dict()+str()\r\n\r\na\r\n" +
				"--//\r\nContent-Transfer-Encoding: 7bit\r\nContent-Type: text/plain\r\nMime-Version: 1.0\r\n\r\n\r\n--//--\r\n",
		},
		// The text that the Terraform provider's own test expects for this input.
		"encoded": {
			args: props{"gzip": property.New(false), "parts": property.New([]property.Value{
				part("content", "heythere", "contentType", "text/x-shellscript"),
			})},
			want: "Q29udGVudC1UeXBlOiBtdWx0aXBhcnQvbWl4ZWQ7IGJvdW5kYXJ5PSJNSU1FQk9VTkRBUlkiCk1JTUUtVmVyc2lvbjogMS4wDQoNCi0tTUlNRUJP" +
				"VU5EQVJZDQpDb250ZW50LVRyYW5zZmVyLUVuY29kaW5nOiA3Yml0DQpDb250ZW50LVR5cGU6IHRleHQveC1zaGVsbHNjcmlwdA0KTWltZS1WZXJz" +
				"aW9uOiAxLjANCg0KaGV5dGhlcmUNCi0tTUlNRUJPVU5EQVJZLS0NCg==",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := getConfig(t, test.args)
			require.NoError(t, err)
			require.Empty(t, got.Failures)
			assert.Equal(t, test.want, got.Return.Get("rendered").AsString())
			assert.Equal(t, strconv.Itoa(int(crc32.ChecksumIEEE([]byte(test.want)))), got.Return.Get("id").AsString())
		})
	}
}

func TestCompressedByDefault(t *testing.T) {
	parts := property.New([]property.Value{part("content", "heythere")})
	compressed, err := getConfig(t, props{"parts": parts})
	require.NoError(t, err)
	uncompressed, err := getConfig(t, props{"parts": parts, "gzip": property.New(false), "base64Encode": property.New(false)})
	require.NoError(t, err)

	data, err := base64.StdEncoding.DecodeString(compressed.Return.Get("rendered").AsString())
	require.NoError(t, err)
	r, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, uncompressed.Return.Get("rendered").AsString(), string(text))
	assert.True(t, compressed.Return.Get("gzip").AsBool())
	assert.Equal(t, "text/plain", compressed.Return.Get("parts").AsArray().Get(0).AsMap().Get("contentType").AsString())
}

func TestSecretContentMakesASecretDocument(t *testing.T) {
	secret := property.New(property.NewMap(props{"content": property.New("hunter2").WithSecret(true)}))
	got, err := getConfig(t, props{"parts": property.New([]property.Value{secret})})
	require.NoError(t, err)
	assert.True(t, got.Return.Get("rendered").Secret())
}

func TestBadArguments(t *testing.T) {
	t.Run("no parts", func(t *testing.T) {
		got, err := getConfig(t, props{"parts": property.New([]property.Value{})})
		require.NoError(t, err)
		assert.Equal(t, []p.CheckFailure{{Property: "parts", Reason: `missing required property "parts"`}}, got.Failures)
	})
	t.Run("no content, and a field in the wrong case", func(t *testing.T) {
		got, err := getConfig(t, props{"parts": property.New([]property.Value{part("content_type", "text/plain")})})
		require.NoError(t, err)
		assert.Equal(t, []p.CheckFailure{
			{Property: "parts[0].content_type", Reason: `unknown property "content_type", did you mean "contentType"?`},
			{Property: "parts[0].content", Reason: `missing required property "content"`},
		}, got.Failures)
	})
	t.Run("compressed but not encoded", func(t *testing.T) {
		_, err := getConfig(t, props{"base64Encode": property.New(false), "parts": property.New([]property.Value{part("content", "")})})
		require.ErrorContains(t, err, "expected base64Encode to be true when gzip is true")
	})
	t.Run("bad boundary", func(t *testing.T) {
		_, err := getConfig(t, props{"boundary": property.New("a\nb"), "parts": property.New([]property.Value{part("content", "")})})
		require.ErrorContains(t, err, `setting boundary "a\nb"`)
	})
}
