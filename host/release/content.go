package release

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
)

// Staged is the release as it is kept on the host and started from there: the login
// to the registry is left out, the container's spec is fixed, and what has a default
// has it.
func (r Release) Staged() Release {
	r.Registry = nil
	r.Owner.Takes = nil
	r.Env = maps.Clone(r.Env)
	if r.Env == nil {
		r.Env = map[string]string{}
	}
	if r.Spec == 0 {
		r.Spec = Spec
	}
	if r.PullTimeout == 0 {
		r.PullTimeout = DefaultPullTimeout
	}
	return r
}

// ID names a release by its content: two of the same ID are started the same way. What only
// a deployment uses, such as its timeouts or the signature, makes no difference, and neither
// do the names of gateway and stack. Another owner does, so that who takes a gateway over
// starts it anew. It looks like 0.6.19-5d41402abc4b.
//
// The key is the host's own and secret, so that an ID that is shown says nothing about
// the secrets that went into it.
func (r Release) ID(key []byte) (string, error) {
	text, err := json.Marshal(struct {
		Owner     string
		Image     string
		Version   string
		Config    json.RawMessage
		Env       map[string]string
		Port      int
		MemoryMiB int
		Pids      int
		Spec      int
	}{r.Owner.ID, r.Image, r.Version, r.Config, r.Env, r.Port, r.MemoryMiB, r.Pids, r.Spec})
	if err != nil {
		return "", fmt.Errorf("encoding the release: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return r.Version + "-" + hex.EncodeToString(mac.Sum(nil))[:12], nil
}
