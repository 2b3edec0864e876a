package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeSeed lays out what a machine is started with below dir:
//
//	nocloud/    the NoCloud data source: user-data and meta-data
//	certs.d/    the private authorities of registries, one directory each
//
// User-data holds the machine's private host key, so dir is root's alone.
func (s Spec) writeSeed(dir string) error {
	metaData, err := s.metaData()
	if err != nil {
		return err
	}
	files := map[string]string{
		"nocloud/user-data": s.UserData,
		"nocloud/meta-data": metaData,
	}
	for registry, ca := range s.RegistryCAs {
		files[filepath.Join("certs.d", registry, "ca.crt")] = ca
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing the seed of machine %s: %w", s.Name, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "certs.d"), 0o755); err != nil {
		return fmt.Errorf("writing the seed of machine %s: %w", s.Name, err)
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing the seed of machine %s: %w", s.Name, err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("writing the seed of machine %s: %w", s.Name, err)
		}
	}
	return nil
}

// metaData is what the cloud tells a server about itself. JSON is YAML.
func (s Spec) metaData() (string, error) {
	meta := struct {
		InstanceID    string   `json:"instance-id"`
		LocalHostname string   `json:"local-hostname"`
		PublicKeys    []string `json:"public-keys,omitempty"`
	}{s.InstanceID, s.Name, s.AuthorizedKeys}
	if meta.InstanceID == "" {
		meta.InstanceID = s.Name
	}
	out, err := json.Marshal(meta)
	if err != nil {
		return "", fmt.Errorf("writing the meta-data of machine %s: %w", s.Name, err)
	}
	return string(out) + "\n", nil
}

// HostKey is an SSH host key pair in OpenSSH's formats: a PEM block, and the
// line "ssh-ed25519 AAAA…".
type HostKey struct{ Private, Public string }

// PlainUserData is the user-data of a machine that was rented elsewhere and
// has nothing of the gateway's on it: it has its host key and, if user is not
// root, a user with that name who may become root without a password. The
// machine's authorized keys are both root's and that user's.
func PlainUserData(key HostKey, user string, authorizedKeys []string) (string, error) {
	type account struct {
		Name  string   `json:"name"`
		Sudo  string   `json:"sudo"`
		Shell string   `json:"shell"`
		Keys  []string `json:"ssh_authorized_keys"`
	}
	config := struct {
		SSHKeys map[string]string `json:"ssh_keys"`
		Users   []account         `json:"users,omitempty"`
	}{
		SSHKeys: map[string]string{
			"ed25519_private": strings.TrimSpace(key.Private) + "\n",
			"ed25519_public":  strings.TrimSpace(key.Public),
		},
	}
	if user != "root" {
		config.Users = []account{{user, "ALL=(ALL) NOPASSWD:ALL", "/bin/bash", authorizedKeys}}
	}
	out, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing plain user-data: %w", err)
	}
	return "#cloud-config\n" + string(out) + "\n", nil
}
