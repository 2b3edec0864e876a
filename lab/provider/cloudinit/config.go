package cloudinit

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/textproto"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/clawft/infra/lab/provider"
)

// configArgs is by hand what other stand-ins take from an SDK: the Go module
// proxy serves no pulumi-cloudinit/sdk.
type configArgs struct {
	Gzip         *bool        `pulumi:"gzip"`
	Base64Encode *bool        `pulumi:"base64Encode"`
	Boundary     *string      `pulumi:"boundary"`
	Parts        []configPart `pulumi:"parts"`
}

type configPart struct {
	Content     string  `pulumi:"content"`
	ContentType *string `pulumi:"contentType"`
	Filename    *string `pulumi:"filename"`
	MergeType   *string `pulumi:"mergeType"`
}

type configResult struct {
	Gzip         bool         `pulumi:"gzip"`
	Base64Encode bool         `pulumi:"base64Encode"`
	Boundary     string       `pulumi:"boundary"`
	Parts        []configPart `pulumi:"parts"`
	ID           string       `pulumi:"id"`
	Rendered     string       `pulumi:"rendered"`
}

func getConfig() provider.Function {
	return provider.Function{
		Token:    "cloudinit:index/getConfig:getConfig",
		Args:     configArgs{},
		Result:   configResult{},
		Required: []string{"parts"},
		Call: func(_ context.Context, args property.Map) (property.Map, error) {
			out := args
			for name, value := range map[string]property.Value{
				"gzip":         property.New(true),
				"base64Encode": property.New(true),
				"boundary":     property.New("MIMEBOUNDARY"),
			} {
				if out.Get(name).IsNull() {
					out = out.Set(name, value)
				}
			}
			parts := out.Get("parts").AsArray().AsSlice()
			for i, part := range parts {
				if text(part.AsMap(), "contentType") == "" {
					parts[i] = property.New(part.AsMap().Set("contentType", property.New("text/plain")))
				}
			}
			out = out.Set("parts", property.New(parts))

			rendered, err := render(out)
			if err != nil {
				return property.Map{}, err
			}
			id := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(rendered))), 10)
			return out.Set("rendered", property.New(rendered)).Set("id", property.New(id)), nil
		},
	}
}

func render(config property.Map) (string, error) {
	compressed, encoded := config.Get("gzip").AsBool(), config.Get("base64Encode").AsBool()
	if compressed && !encoded {
		return "", errors.New("expected base64Encode to be true when gzip is true")
	}
	var buffer bytes.Buffer
	if compressed {
		w := gzip.NewWriter(&buffer)
		if err := writeParts(w, config); err != nil {
			return "", err
		}
		if err := w.Close(); err != nil {
			return "", fmt.Errorf("compressing the document: %w", err)
		}
	} else if err := writeParts(&buffer, config); err != nil {
		return "", err
	}
	if encoded {
		return base64.StdEncoding.EncodeToString(buffer.Bytes()), nil
	}
	return buffer.String(), nil
}

func writeParts(w io.Writer, config property.Map) error {
	document := multipart.NewWriter(w)
	if err := document.SetBoundary(config.Get("boundary").AsString()); err != nil {
		return fmt.Errorf("setting boundary %q: %w", config.Get("boundary").AsString(), err)
	}
	// The first line ends without \r. User-data is compared byte by byte, and a
	// server is replaced when it changes.
	if _, err := fmt.Fprintf(w, "Content-Type: multipart/mixed; boundary=\"%s\"\nMIME-Version: 1.0\r\n\r\n",
		document.Boundary()); err != nil {
		return fmt.Errorf("writing the document's header: %w", err)
	}
	for i, part := range config.Get("parts").AsArray().All {
		if err := writePart(document, part.AsMap()); err != nil {
			return fmt.Errorf("writing parts[%d]: %w", i, err)
		}
	}
	return document.Close()
}

func writePart(document *multipart.Writer, part property.Map) error {
	header := textproto.MIMEHeader{}
	header.Set("Content-Type", text(part, "contentType"))
	header.Set("MIME-Version", "1.0")
	header.Set("Content-Transfer-Encoding", "7bit")
	if name := text(part, "filename"); name != "" {
		header.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s"`, name))
	}
	if merge := text(part, "mergeType"); merge != "" {
		header.Set("X-Merge-Type", merge)
	}
	w, err := document.CreatePart(header)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text(part, "content"))
	return err
}

// text is "" for a property that is absent.
func text(m property.Map, name string) string {
	if v := m.Get(name); v.IsString() {
		return v.AsString()
	}
	return ""
}
