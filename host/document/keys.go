package document

import (
	"errors"
	"strings"
)

// UntilKept is the comment of lines in a file of keys that give way to those that are kept.
const UntilKept = "clawft-until-kept"

// Keys says who logs in to a host. Keys are in OpenSSH's format, one line each.
type Keys struct {
	// User is the login user, whose keys these are.
	User string `json:"user"`
	// Block names whose keys these are, in a few characters without a space.
	Block string `json:"block"`
	// Login is the public key with which the pipeline itself logs in.
	Login string `json:"login"`
	// More are further public keys.
	More []string `json:"more,omitempty"`
	// FirstBoot is a public key that the host accepts because it was created with it; it is accepted no
	// longer, unless it is among the others. Empty for none.
	FirstBoot string `json:"firstBoot,omitempty"`
}

// Check says what cannot be written into a file of keys.
func (k Keys) Check() error {
	if k.User == "" || k.Block == "" || strings.ContainsAny(k.Block, " \n") || k.Login == "" {
		return errors.New("the document needs user, block and login")
	}
	for _, line := range append([]string{k.Login, k.FirstBoot}, k.More...) {
		if strings.ContainsAny(line, "\r\n") {
			return errors.New("a key is more than one line")
		}
	}
	return nil
}
