package sshkey

import (
	"bytes"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// least is the size of an RSA key, in bits, below which systems refuse it by policy.
const least = 2048

const loginRemedy = "an Ed25519 key without a passphrase, made for this stack: ssh-keygen -t ed25519 -N '' -f FILE"

// Login reads a private key that logs in, and returns it as the plugin reads it: with lines that end in
// \n, without anything around it.
func Login(text string) (string, *Refusal) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) + "\n"
	signer, err := ssh.ParsePrivateKey([]byte(text))
	if err != nil {
		return "", unreadable(text, err)
	}
	key := signer.PublicKey()
	if key.Type() == ssh.InsecureKeyAlgoDSA { //nolint:staticcheck // a key that has to be refused
		return "", &Refusal{"a DSA key, which OpenSSH refuses", loginRemedy}
	}
	if bits := rsaBits(key); bits > 0 && bits < least {
		return "", &Refusal{fmt.Sprintf("an RSA key of %d bits", bits), loginRemedy + fmt.Sprintf("; or RSA of at least %d bits", least)}
	}
	// What cannot be read back is not understood by a server either: an RSA key of an odd size, for one.
	if _, err := ssh.ParsePublicKey(key.Marshal()); err != nil {
		return "", &Refusal{"a key that SSH does not support", loginRemedy}
	}
	return text, nil
}

func rsaBits(key ssh.PublicKey) int {
	if key, ok := key.(ssh.CryptoPublicKey); ok {
		if key, ok := key.CryptoPublicKey().(*rsa.PublicKey); ok {
			return key.N.BitLen()
		}
	}
	return 0
}

// unreadable says what a text is that is no private key that logs in.
func unreadable(text string, err error) *Refusal {
	const right = "a private key in OpenSSH or PEM format"
	var locked *ssh.PassphraseMissingError
	block, _ := pem.Decode([]byte(text))
	switch {
	case errors.As(err, &locked), block != nil && block.Type == "ENCRYPTED PRIVATE KEY":
		return &Refusal{"a private key with a passphrase", "one without, made for this stack: ssh-keygen -t ed25519 -N '' -f FILE"}
	case block != nil && bytes.Contains(block.Bytes, []byte("sk-")) && bytes.Contains(block.Bytes, []byte("@openssh.com")):
		return &Refusal{"the handle of a security key, which has to be touched for each login", loginRemedy}
	case strings.HasPrefix(text, "PuTTY-User-Key-File-"):
		return &Refusal{"a key in PuTTY's format", right + ": puttygen KEY.ppk -O private-openssh -o FILE"}
	case strings.HasPrefix(text, "---- BEGIN SSH2"), block != nil && strings.Contains(block.Type, "PUBLIC"):
		return &Refusal{"a public key", "the private key"}
	case block != nil && strings.Contains(block.Type, "CERTIFICATE"):
		return &Refusal{"a certificate", "the private key"}
	case block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return &Refusal{"a private key of a kind that SSH does not support", loginRemedy}
	case strings.Contains(text, `\n`) && private(text):
		return &Refusal{`a private key with \n in place of line ends`, "the file as it is"}
	case private(text):
		return &Refusal{"a private key that is cut short or damaged", "the whole file, from -----BEGIN to -----END and its line end"}
	}
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text)); err == nil {
		given := "a public key"
		if _, ok := key.(*ssh.Certificate); ok {
			given = "a certificate"
		}
		return &Refusal{given, "the private key"}
	}
	return &Refusal{fmt.Sprintf("%d bytes that are no private key", len(strings.TrimSuffix(text, "\n"))), right}
}

// private is true for what must not be shown.
func private(text string) bool { return strings.Contains(text, "PRIVATE KEY") }
