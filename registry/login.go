package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

var (
	// ErrRefused is a registry's answer to a login that it does not know. What the
	// login may do is another question: see ErrDenied.
	ErrRefused = errors.New("the registry refuses the login")
	// ErrUnreachable is the lack of any answer: of a name, of a connection or of a
	// certificate that is trusted.
	ErrUnreachable = errors.New("the registry cannot be reached")
	// ErrNone is the answer of something else than a registry.
	ErrNone = errors.New("there is no registry")
)

// Login is a login to a registry.
type Login struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Nobody is the login of who has none, also where Docker's command line has one.
var Nobody = &Login{}

func (l *Login) authenticator() authn.Authenticator {
	if l == Nobody {
		return authn.Anonymous
	}
	return &authn.Basic{Username: l.Username, Password: l.Password}
}

// Resolve makes a login the one that Docker's command line would use everywhere.
func (l *Login) Resolve(authn.Resource) (authn.Authenticator, error) { return l.authenticator(), nil }

// Server is the registry's name, as a login to it has it.
func (r *Repository) Server() string { return r.name.RegistryStr() }

// User is whom the registry is told to be asked by: the login's user, or that of
// Docker's own login, or "" for nobody. An identity token names no user; it is then
// "<token>".
func (r *Repository) User(ctx context.Context) (string, error) {
	auth, err := authn.Resolve(ctx, r.keychain(), r.name)
	if err != nil {
		return "", fmt.Errorf("reading Docker's own login to %s: %w", r.Server(), err)
	}
	given, err := authn.Authorization(ctx, auth)
	switch {
	case err != nil:
		return "", fmt.Errorf("reading Docker's own login to %s: %w", r.Server(), err)
	case given.Username == "" && *given != authn.AuthConfig{}:
		return "<token>", nil
	}
	return given.Username, nil
}

// CheckLogin returns an error unless there is a registry that takes the login, as
// `docker login` does: ErrNone, ErrUnreachable, ErrRefused, or another one if the
// registry gives no clear answer. What the login may do does not matter. Nobody is
// taken by every registry.
func (r *Repository) CheckLogin(ctx context.Context) error {
	inner := patiently(ctx)
	_, err := transport.Ping(ctx, r.name.Registry, inner)
	answer := (*transport.Error)(nil)
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w at %s, which answers 404 to GET /v2/", ErrNone, r.Server())
	case err != nil:
		return r.unclear(err)
	}
	auth, err := authn.Resolve(ctx, r.keychain(), r.name)
	if err != nil {
		return fmt.Errorf("reading Docker's own login to %s: %w", r.Server(), err)
	}
	if auth == authn.Anonymous {
		return nil
	}
	// A token for no repository in particular, and with it the request that tells
	// whether one is logged in.
	client, err := transport.NewWithContext(ctx, r.name.Registry, auth, inner, nil)
	if err == nil {
		err = r.root(ctx, client)
	}
	switch {
	case errors.As(err, &answer) && slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden}, answer.StatusCode):
		return fmt.Errorf("%w: %s", ErrRefused, r.said(answer))
	case err != nil:
		return r.unclear(err)
	}
	return nil
}

// root requests the registry's root.
func (r *Repository) root(ctx context.Context, through http.RoundTripper) error {
	address := url.URL{Scheme: r.name.Scheme(), Host: r.Server(), Path: "/v2/"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", r.Server(), err)
	}
	response, err := (&http.Client{Transport: through}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return transport.CheckError(response, http.StatusOK)
}

// unclear names what is no answer to the question.
func (r *Repository) unclear(err error) error {
	answer := (*transport.Error)(nil)
	switch {
	case unreachable(err):
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, r.Server(), err)
	case errors.As(err, &answer):
		return fmt.Errorf("%s gives no clear answer: %s", r.Server(), r.said(answer))
	}
	return fmt.Errorf("asking %s: %s", r.Server(), r.withoutSecrets(err.Error()))
}

// unreachable tells the lack of an answer from an answer. A registry on a private
// address is also asked without TLS; what that says of a certificate is nothing.
func unreachable(err error) bool {
	certificate, answer, request := (*tls.CertificateVerificationError)(nil), (*transport.Error)(nil), (*url.Error)(nil)
	return errors.As(err, &certificate) || !errors.As(err, &answer) && errors.As(err, &request)
}

// said is what a registry answers.
func (r *Repository) said(answer *transport.Error) string {
	text := answer.Error()
	if !strings.Contains(text, fmt.Sprint(answer.StatusCode)) {
		text = fmt.Sprintf("%d %s: %s", answer.StatusCode, http.StatusText(answer.StatusCode), text)
	}
	return r.withoutSecrets(text)
}

// withoutSecrets is for the text of a registry that repeats what it was told.
func (r *Repository) withoutSecrets(text string) string {
	if r.login == nil || r.login.Password == "" {
		return text
	}
	request := http.Request{Header: http.Header{}}
	request.SetBasicAuth(r.login.Username, r.login.Password)
	_, encoded, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	return strings.NewReplacer(r.login.Password, "[secret]", encoded, "[secret]").Replace(text)
}

// Has returns nil if the repository has an image of a digest, and lets the login
// pull it: else ErrDenied, ErrNotFound, or another error if there is no clear
// answer.
func (r *Repository) Has(ctx context.Context, digest string) error {
	ref := r.name.Digest(digest)
	if _, err := remote.Head(ref, r.with(ctx)...); err != nil {
		return fmt.Errorf("looking up %s: %w", ref, r.classify(err))
	}
	return nil
}
