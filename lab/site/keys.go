package site

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// keyPair is an SSH key pair in OpenSSH's formats.
type keyPair struct {
	// Path is the file of the private key.
	Path            string
	Private, Public string
}

// loadKey reads the key pair of a name from dir, or makes one there.
func loadKey(dir, name string) (keyPair, error) {
	path := filepath.Join(dir, name)
	private, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		private, err = newKey(path)
	}
	if err != nil {
		return keyPair{}, fmt.Errorf("loading the SSH key %s: %w", name, err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return keyPair{}, fmt.Errorf("loading the SSH key %s: %w; remove %s to have a new one made", name, err, path)
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	return keyPair{Path: path, Private: string(private), Public: public}, nil
}

func newKey(path string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	private := pem.EncodeToMemory(block)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("creating the key's directory: %w", err)
	}
	if err := os.WriteFile(path, private, 0o600); err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return private, nil
}
