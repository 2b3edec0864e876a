package attest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/signature"
)

// Types of statements, as `cosign verify-attestation --type` takes them too.
const (
	// BillOfMaterials is a CycloneDX document.
	BillOfMaterials = "https://cyclonedx.org/bom"
	// Provenance is SLSA's, version 1.
	Provenance = "https://slsa.dev/provenance/v1"
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	payloadType   = "application/vnd.in-toto+json"
	envelopeType  = "application/vnd.dsse.envelope.v1+json"
)

// Statement says something about images: https://in-toto.io/Statement/v1.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is an image that a statement is about.
type Subject struct {
	Name string `json:"name"`
	// Digest is hexadecimal, by its algorithm.
	Digest map[string]string `json:"digest"`
}

// subjectsOf are an image, by the digest that hosts are given, and what each
// platform makes of it, which is the digest that they report.
func subjectsOf(image *registry.Image) ([]Subject, error) {
	repository, digest, _ := strings.Cut(image.Ref, "@")
	digests := []string{digest}
	for _, platform := range image.Platforms {
		content, _ := image.For(platform.Name)
		own, err := content.Digest()
		if err != nil {
			return nil, fmt.Errorf("reading the digest of the image for %s: %w", platform.Name, err)
		}
		digests = append(digests, own.String())
	}
	var subjects []Subject
	for _, digest := range slices.Compact(digests) {
		algorithm, hash, _ := strings.Cut(digest, ":")
		subjects = append(subjects, Subject{Name: repository, Digest: map[string]string{algorithm: hash}})
	}
	return subjects, nil
}

// about is true of a statement about the image of a digest.
func (s Statement) about(digest string) bool {
	algorithm, hash, _ := strings.Cut(digest, ":")
	return slices.ContainsFunc(s.Subject, func(subject Subject) bool { return subject.Digest[algorithm] == hash })
}

// sign makes of a statement what is attached to an image.
func (s Statement) sign(ctx context.Context, key *signature.Key) (registry.Attachment, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return registry.Attachment{}, fmt.Errorf("encoding a statement: %w", err)
	}
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return registry.Attachment{}, fmt.Errorf("preparing to sign a statement: %w", err)
	}
	envelope, err := signer.SignPayload(ctx, payloadType, text)
	if err != nil {
		return registry.Attachment{}, fmt.Errorf("signing a statement: %w", err)
	}
	content, err := json.Marshal(envelope)
	if err != nil {
		return registry.Attachment{}, fmt.Errorf("encoding a signed statement: %w", err)
	}
	return registry.Attachment{
		MediaType: envelopeType,
		Content:   content,
		// cosign expects a signature beside it, which is in the envelope already.
		Annotations: map[string]string{"predicateType": s.PredicateType, registry.SignatureAnnotation: ""},
	}, nil
}

// Statements returns what a key has signed about the image of a digest. What
// others attached, or what is about other images, is left out.
func Statements(ctx context.Context, repository *registry.Repository, digest string, key signature.PublicKey) ([]Statement, error) {
	attachments, err := repository.Attachments(ctx, digest, registry.Attestations)
	if err != nil {
		return nil, err
	}
	verifier, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return nil, fmt.Errorf("preparing to verify statements: %w", err)
	}
	var statements []Statement
	for _, attachment := range attachments {
		var envelope dsse.Envelope
		if attachment.MediaType != envelopeType || json.Unmarshal(attachment.Content, &envelope) != nil {
			continue
		}
		if _, err := verifier.Verify(ctx, &envelope); err != nil {
			continue
		}
		text, err := envelope.DecodeB64Payload()
		if err != nil {
			return nil, fmt.Errorf("decoding a statement: %w", err)
		}
		var statement Statement
		if err := json.Unmarshal(text, &statement); err != nil {
			return nil, fmt.Errorf("reading a statement: %w", err)
		}
		if statement.about(digest) {
			statements = append(statements, statement)
		}
	}
	return statements, nil
}

// find returns a statement of a type, or nil.
func find(statements []Statement, predicateType string) *Statement {
	at := slices.IndexFunc(statements, func(s Statement) bool { return s.PredicateType == predicateType })
	if at < 0 {
		return nil
	}
	return &statements[at]
}
