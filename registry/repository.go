package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

var (
	// ErrNotFound is a registry's answer for a tag, an image or a repository that
	// it does not have.
	ErrNotFound = errors.New("the registry does not have it")
	// ErrDenied is a registry's answer to a login that is missing, wrong or not
	// allowed to do this.
	ErrDenied = errors.New("the registry denies access")
)

// Repository is a repository of a registry, such as ghcr.io/clawft/clawft.
type Repository struct {
	name    name.Repository
	login   *Login
	options []remote.Option
}

// Open prepares access to a repository and does not connect yet. Without a
// login, the one that Docker's command line has for the registry is used, if
// there is one.
func Open(repository string, login *Login) (*Repository, error) {
	parsed, err := name.NewRepository(repository, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("reading the repository %q: %w", repository, err)
	}
	opened := &Repository{name: parsed, login: login}
	opened.options = []remote.Option{remote.WithAuthFromKeychain(opened.keychain()), remote.WithTransport(remote.DefaultTransport)}
	return opened, nil
}

func (r *Repository) keychain() authn.Keychain {
	if r.login == nil {
		return authn.DefaultKeychain
	}
	return r.login
}

// Tags lists the repository's tags: none if it does not exist yet.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	tags, err := remote.List(r.name, r.with(ctx)...)
	err = r.classify(err)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the tags of %s: %w", r.name, err)
	}
	return tags, nil
}

// Digest returns what a tag points at: sha256:….
func (r *Repository) Digest(ctx context.Context, tag string) (string, error) {
	ref, err := name.NewTag(r.name.String()+":"+tag, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("reading the tag %q: %w", tag, err)
	}
	found, err := remote.Head(ref, r.with(ctx)...)
	if err != nil {
		return "", fmt.Errorf("looking up %s: %w", ref, r.classify(err))
	}
	return found.Digest.String(), nil
}

func (r *Repository) with(ctx context.Context) []remote.Option {
	return append(r.options[:len(r.options):len(r.options)], remote.WithContext(ctx))
}

// classify makes the registry's answers recognisable, and says what to do about a
// refusal.
func (r *Repository) classify(err error) error {
	answer := (*transport.Error)(nil)
	switch {
	case unreachable(err):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case !errors.As(err, &answer):
		return err
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		switch r.login {
		case Nobody:
			return fmt.Errorf("%w to who has no login: %w", ErrDenied, err)
		case nil:
			return fmt.Errorf("%w: %w; log in with `docker login %s`, or set clawft:image.username and clawft:registryPassword", ErrDenied, err, r.Server())
		}
		return fmt.Errorf("%w: %w; check clawft:registryPassword or clawft:registryPullToken, and what user %q may do", ErrDenied, err, r.login.Username)
	}
	return err
}
