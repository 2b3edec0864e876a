package registry

import (
	"context"
	"encoding/base64"

	"github.com/clawft/infra/signature"
)

// SignatureAnnotation holds the signature of an attached document, in base64.
const SignatureAnnotation = "dev.cosignproject.cosign/signature"

// signatureType is the document that an image's signature is of.
const signatureType = "application/vnd.dev.cosign.simplesigning.v1+json"

// Signatures returns the signatures of the image of a digest, whoever they are
// by: none if it is not signed.
func (r *Repository) Signatures(ctx context.Context, digest string) ([]signature.Image, error) {
	attachments, err := r.Attachments(ctx, digest, Signatures)
	if err != nil {
		return nil, err
	}
	var signatures []signature.Image
	for _, attachment := range attachments {
		signed, err := base64.StdEncoding.DecodeString(attachment.Annotations[SignatureAnnotation])
		if attachment.MediaType != signatureType || err != nil {
			continue // whatever it is, it is no signature of an image
		}
		signatures = append(signatures, signature.Image{Payload: attachment.Content, Signature: signed})
	}
	return signatures, nil
}

// Sign attaches a signature to the image of a digest.
func (r *Repository) Sign(ctx context.Context, digest string, signed signature.Image) error {
	return r.Attach(ctx, digest, Signatures, Attachment{
		MediaType:   signatureType,
		Content:     signed.Payload,
		Annotations: map[string]string{SignatureAnnotation: base64.StdEncoding.EncodeToString(signed.Signature)},
	})
}
