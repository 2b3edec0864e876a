package site

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const (
	// trustVariable names directories of certificate authorities, for Go and for
	// OpenSSL.
	trustVariable = "SSL_CERT_DIR"
	// systemTrust is what Go reads where the variable is not set.
	systemTrust = "/etc/ssl/certs:/etc/pki/tls/certs"
)

// trustRegistry makes this process and all that it starts trust the registry's
// private authority beside the machine's own ones: the program and its gates ask
// the registry like any other. Go reads the variable once, at the first
// connection that it verifies.
func (s *Site) trustRegistry() error {
	ca, err := os.ReadFile(s.Registry.CAPath())
	if err != nil {
		return fmt.Errorf("reading the registry's certificate: %w", err)
	}
	dir := filepath.Join(s.Dir, "trust")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("trusting the registry: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "registry.pem"), ca, 0o600); err != nil {
		return fmt.Errorf("trusting the registry: %w", err)
	}
	trusted := cmp.Or(os.Getenv(trustVariable), systemTrust)
	if slices.Contains(filepath.SplitList(trusted), dir) {
		return nil
	}
	return os.Setenv(trustVariable, dir+string(filepath.ListSeparator)+trusted)
}
