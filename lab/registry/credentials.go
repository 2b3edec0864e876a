package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
)

// Username is the one account of the registry.
const Username = "clawft"

// loadPassword reads the password kept in dir, or makes one there. The file
// can be read by its owner only.
func loadPassword(dir string) (string, error) {
	path := filepath.Join(dir, "password")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		password := rand.Text()
		return password, writeFile(path, []byte(password), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("reading the registry's password: %w", err)
	}
	if len(data) == 0 {
		return "", fmt.Errorf("reading the registry's password: %s is empty; remove it to have a new one made", path)
	}
	return string(data), nil
}

// requirePassword lets only the holder of the password through. Distribution's
// own htpasswd check hashes with bcrypt on each of the dozens of requests of a
// push, which costs seconds and protects nothing here: the password is random
// and kept beside the registry for its clients.
func requirePassword(password string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(Username + ":" + password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, given, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(user + ":" + given))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("WWW-Authenticate", `Basic realm="clawft lab registry"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`))
	})
}
