package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// MayPush returns an error unless the login may push to the repository, whether
// that exists or not. An upload is begun for it, and given up again.
func (r *Repository) MayPush(ctx context.Context) error {
	var keychain authn.Keychain = authn.DefaultKeychain
	if r.login != nil {
		keychain = fixed{&authn.Basic{Username: r.login.Username, Password: r.login.Password}}
	}
	err := r.classify(remote.CheckPushPermission(r.name.Tag(Latest), keychain, bound{ctx}))
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w; this registry wants the repository %s to be created before anything is pushed to it", err, r.name)
	}
	if err != nil {
		return fmt.Errorf("finding out whether %s may be pushed to: %w", r.name, err)
	}
	return nil
}

// fixed is a keychain of one login.
type fixed struct{ authn.Authenticator }

func (f fixed) Resolve(authn.Resource) (authn.Authenticator, error) { return f.Authenticator, nil }

// bound sends requests within a context, which the function above has none for.
type bound struct{ ctx context.Context }

func (b bound) RoundTrip(request *http.Request) (*http.Response, error) {
	return remote.DefaultTransport.RoundTrip(request.WithContext(b.ctx))
}
