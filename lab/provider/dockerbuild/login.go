package dockerbuild

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
)

// hubKey is Docker Hub's entry in a docker configuration.
const hubKey = "https://index.docker.io/v1/"

// write makes a docker configuration with these logins, for one command. Only
// the caller's user can read it, and remove has to be called after the command.
func (l logins) write() (dir string, remove func(), err error) {
	type auth struct {
		Auth string `json:"auth"`
	}
	auths := map[string]auth{}
	for host, login := range l {
		if host == name.DefaultRegistry {
			host = hubKey
		}
		auths[host] = auth{base64.StdEncoding.EncodeToString([]byte(login.Username + ":" + login.Password))}
	}
	config, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return "", nil, fmt.Errorf("writing registry logins: %w", err)
	}
	// The directory is for the owner only as well.
	if dir, err = os.MkdirTemp("", "clawft-login-"); err != nil {
		return "", nil, fmt.Errorf("writing registry logins: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		remove()
		return "", nil, fmt.Errorf("writing registry logins: %w", err)
	}
	return dir, remove, nil
}
