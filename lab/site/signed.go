package site

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/signature"
)

// Signed describes what is attached to an image in the lab's registry and signed
// by one of the keys that the stack demands: "bill of materials (45 components)
// and provenance attached".
func (s *Site) Signed(ctx context.Context, outcome *Outcome) (string, error) {
	if len(outcome.PublicKeys) == 0 {
		return "no: the stack demands no signature", nil
	}
	repository, digest, err := s.repository(outcome.Image)
	if err != nil {
		return "", err
	}
	var attached []string
	for _, text := range outcome.PublicKeys {
		key, err := signature.ParsePublicKey(text)
		if err != nil {
			return "", fmt.Errorf("reading the stack's public keys: %w", err)
		}
		statements, err := attest.Statements(ctx, repository, digest, key)
		if err != nil {
			return "", err
		}
		for _, statement := range statements {
			about, err := describe(statement)
			if err != nil {
				return "", err
			}
			attached = append(attached, about)
		}
	}
	if len(attached) == 0 {
		return "yes, with nothing attached", nil
	}
	return strings.Join(attached, " and ") + " attached", nil
}

// describe names what a statement is.
func describe(statement attest.Statement) (string, error) {
	switch statement.PredicateType {
	case attest.Provenance:
		return "provenance", nil
	case attest.BillOfMaterials:
		var bom cyclonedx.BOM
		if err := json.Unmarshal(statement.Predicate, &bom); err != nil {
			return "", fmt.Errorf("reading the bill of materials: %w", err)
		}
		return fmt.Sprintf("bill of materials (%d components)", len(*bom.Components)), nil
	}
	return statement.PredicateType, nil
}
