package sshkey

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Authorized reads a public key that may log in, and returns it in one line with its comment, if it has
// one. It takes those of security keys: who logs in with them is a person.
func Authorized(text string) (string, *Refusal) {
	if lines := keyLines(text); len(lines) > 1 && !private(text) {
		return "", &Refusal{fmt.Sprintf("%d lines", len(lines)), "one key for each entry, " + hostExample}
	}
	text = strings.TrimSpace(text)
	key, refused := public(text)
	if refused != nil {
		return "", refused
	}
	switch bits := rsaBits(key); {
	case strings.Contains(key.Type(), "-cert-v"):
		return "", &Refusal{describe(key), "the public key itself, " + hostExample}
	case key.Type() == ssh.InsecureKeyAlgoDSA: //nolint:staticcheck // a key that has to be refused
		return "", &Refusal{"a DSA key, which OpenSSH refuses", "an Ed25519 key, " + hostExample}
	case bits > 0 && bits < least:
		return "", &Refusal{fmt.Sprintf("an RSA key of %d bits", bits), fmt.Sprintf("an Ed25519 key, %s, or RSA of at least %d bits", hostExample, least)}
	}
	return strings.Join(strings.Fields(text), " "), nil
}
