package document

import (
	"encoding/json"
	"fmt"

	"github.com/clawft/infra/signature"
)

// Policy is what a host demands of releases.
type Policy struct {
	// Signers are public keys in PEM format: each release's image has to be signed by one of them. Several
	// are for exchanging a key. None demands no signature.
	Signers []string `json:"signers"`
}

// Check says which key is none.
func (p Policy) Check() error {
	if _, err := signature.ParsePublicKeys(p.Signers); err != nil {
		return fmt.Errorf("policy.signers: %w", err)
	}
	return nil
}

// Encode is the policy as a host keeps it.
func (p Policy) Encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if p.Signers == nil {
		p.Signers = []string{}
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the policy: %w", err)
	}
	return append(text, '\n'), nil
}
