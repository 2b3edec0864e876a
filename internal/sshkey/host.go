package sshkey

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	hostExample = `one line such as "ssh-ed25519 AAAA…"`
	hostRemedy  = "the machine's Ed25519 key, in /etc/ssh/ssh_host_ed25519_key.pub (`ssh-keygen -A` makes it where there is none)"
)

// connecting are the types of host keys of which the algorithm has the same name.
var connecting = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521}

// Host reads a host's public key, and returns it in one line without its comment.
func Host(text string) (string, *Refusal) {
	if lines := keyLines(text); len(lines) > 1 && !private(text) {
		return "", &Refusal{fmt.Sprintf("%d lines", len(lines)), "one of them, " + hostExample}
	}
	key, refused := public(text)
	if refused != nil {
		return "", refused
	}
	switch kind := key.Type(); {
	case slices.Contains(connecting, kind):
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), nil
	case kind == ssh.KeyAlgoRSA:
		return "", &Refusal{"an RSA key", hostRemedy + "; for an RSA one, the connection would offer ssh-rsa with SHA-1 alone, which sshd refuses"}
	default:
		return "", &Refusal{describe(key), hostRemedy}
	}
}

// keyLines are the lines that say something: ssh-keyscan writes comments between them.
func keyLines(text string) []string {
	lines := strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' })
	return slices.DeleteFunc(lines, func(line string) bool {
		line = strings.TrimSpace(line)
		return line == "" || strings.HasPrefix(line, "#")
	})
}

// public reads the one public key of a text, which has nothing in front of it.
func public(text string) (ssh.PublicKey, *Refusal) {
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err == nil && len(options) == 0 {
		return key, nil
	}
	if private(text) {
		return nil, &Refusal{"a private key", "an SSH public key, " + hostExample}
	}
	fields := strings.Fields(text)
	if len(fields) > 0 && (fields[0] == "@cert-authority" || fields[0] == "@revoked") {
		return nil, &Refusal{"a line of known_hosts with " + fields[0], hostRemedy}
	}
	// A line of known_hosts, with the host's name or its hash; or a line of authorized_keys with options.
	for n := 1; n < len(fields)-1; n++ {
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(fields[n] + " " + fields[n+1])); err == nil {
			return nil, &Refusal{"", "the key without what stands in front, starting with " + key.Type()}
		}
	}
	return nil, &Refusal{"", "an SSH public key, " + hostExample}
}

// describe names a key of a type that does not connect.
func describe(key ssh.PublicKey) string {
	kind := key.Type()
	switch {
	case strings.Contains(kind, "-cert-v"):
		return "a certificate (" + kind + ")"
	case strings.HasPrefix(kind, "sk-"):
		return "the key of a security key (" + kind + ")"
	case kind == ssh.InsecureKeyAlgoDSA: //nolint:staticcheck // a key that has to be refused
		return "a DSA key"
	default:
		return "a key of type " + kind
	}
}
