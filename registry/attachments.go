package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Kind is a kind of what is attached to images. Attachments of one kind and
// image are the layers of a manifest with the tag sha256-<hex>.<kind>, which is
// where cosign puts and looks for them.
type Kind string

const (
	// Signatures are of an image itself.
	Signatures Kind = "sig"
	// Attestations are signed statements about an image.
	Attestations Kind = "att"
)

// maxAttachment bounds what is read of one attachment, in bytes.
const maxAttachment = 32 << 20

// Attachment is a document that is attached to an image.
type Attachment struct {
	// MediaType of the content.
	MediaType string
	// Annotations stand beside the content in the manifest.
	Annotations map[string]string
	Content     []byte
}

// Attachments returns what is attached to the image of a digest: nothing if
// nothing is.
func (r *Repository) Attachments(ctx context.Context, digest string, kind Kind) ([]Attachment, error) {
	tag, err := r.attached(digest, kind)
	if err != nil {
		return nil, err
	}
	image, err := remote.Image(tag, r.with(ctx)...)
	err = r.classify(err)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", tag, err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", tag, err)
	}
	attachments := make([]Attachment, len(manifest.Layers))
	for n, entry := range manifest.Layers {
		content, err := contentOf(image, entry)
		if err != nil {
			return nil, fmt.Errorf("fetching what is attached as %s: %w", tag, r.classify(err))
		}
		attachments[n] = Attachment{MediaType: string(entry.MediaType), Annotations: entry.Annotations, Content: content}
	}
	return attachments, nil
}

// contentOf reads a layer as it is stored. What does not have the layer's digest
// is an error.
func contentOf(image v1.Image, entry v1.Descriptor) ([]byte, error) {
	if entry.Size > maxAttachment {
		return nil, fmt.Errorf("it has %d bytes, more than %d", entry.Size, maxAttachment)
	}
	layer, err := image.LayerByDigest(entry.Digest)
	if err != nil {
		return nil, err
	}
	reader, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}

// Attach adds to what is attached to the image of a digest.
func (r *Repository) Attach(ctx context.Context, digest string, kind Kind, attachments ...Attachment) error {
	tag, err := r.attached(digest, kind)
	if err != nil {
		return err
	}
	image, err := remote.Image(tag, r.with(ctx)...)
	switch err = r.classify(err); {
	case errors.Is(err, ErrNotFound):
		image = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	case err != nil:
		return fmt.Errorf("fetching %s: %w", tag, err)
	}
	for _, attachment := range attachments {
		mediaType := types.MediaType(attachment.MediaType)
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:       static.NewLayer(attachment.Content, mediaType),
			MediaType:   mediaType,
			Annotations: attachment.Annotations,
		})
		if err != nil {
			return fmt.Errorf("adding to %s: %w", tag, err)
		}
	}
	if err := remote.Write(tag, image, r.with(ctx)...); err != nil {
		return fmt.Errorf("writing %s: %w", tag, r.classify(err))
	}
	return nil
}

// attached is where the attachments of a kind are.
func (r *Repository) attached(digest string, kind Kind) (name.Tag, error) {
	if _, err := v1.NewHash(digest); err != nil {
		return name.Tag{}, fmt.Errorf("reading the digest %q: %w", digest, err)
	}
	return r.name.Tag(strings.Replace(digest, ":", "-", 1) + "." + string(kind)), nil
}
