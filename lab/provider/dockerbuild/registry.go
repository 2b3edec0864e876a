package dockerbuild

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	sdk "github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
)

var (
	errNotFound     = errors.New("not found")
	errUnauthorized = errors.New("unauthorized")
	// errRefused is a registry's answer other than "not found".
	errRefused = errors.New("refused by the registry")
)

// registries asks registries about what was pushed to them.
type registries struct{ options []remote.Option }

// newRegistries uses the given logins, and behind them those of the provider.
func newRegistries(ctx context.Context, authorities []string, logins []sdk.Registry) (*registries, error) {
	keychain, err := newLogins(ctx, logins)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the machine's certificate authorities: %w", err)
	}
	for _, path := range authorities {
		authority, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a registry's certificate authority: %w", err)
		}
		if !pool.AppendCertsFromPEM(authority) {
			return nil, fmt.Errorf("reading a registry's certificate authority: %s holds none", path)
		}
	}
	https := remote.DefaultTransport.(*http.Transport).Clone()
	https.TLSClientConfig.RootCAs = pool
	return &registries{options: []remote.Option{remote.WithAuthFromKeychain(keychain), remote.WithTransport(https)}}, nil
}

// digest is what ref stands for.
func (r *registries) digest(ctx context.Context, ref string) (string, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", ref, err)
	}
	head, err := remote.Head(parsed, r.with(ctx)...)
	if err != nil {
		return "", fmt.Errorf("fetching %s: %w", ref, classify(err))
	}
	return head.Digest.String(), nil
}

// delete removes the manifest that ref names by its digest.
func (r *registries) delete(ctx context.Context, ref string) error {
	parsed, err := name.NewDigest(ref)
	if err != nil {
		return fmt.Errorf("reading %s: %w", ref, err)
	}
	err = classify(remote.Delete(parsed, r.with(ctx)...))
	if err == nil || errors.Is(err, errNotFound) {
		return nil
	}
	return fmt.Errorf("deleting %s: %w", ref, err)
}

func (r *registries) with(ctx context.Context) []remote.Option {
	return append(r.options[:len(r.options):len(r.options)], remote.WithContext(ctx))
}

// classify makes the registry's answer recognisable.
func classify(err error) error {
	if answer := (*transport.Error)(nil); errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusNotFound:
			return fmt.Errorf("%w: %w", errNotFound, err)
		case http.StatusUnauthorized:
			return fmt.Errorf("%w: %w", errUnauthorized, err)
		}
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// logins maps a registry's host to its credentials. It is a keychain.
type logins map[string]authn.AuthConfig

func newLogins(ctx context.Context, given []sdk.Registry) (logins, error) {
	all, err := configured(ctx)
	if err != nil {
		return nil, err
	}
	byHost := logins{}
	for _, login := range append(all, given...) {
		byHost[host(login.Address)] = authn.AuthConfig{Username: value(login.Username), Password: value(login.Password)}
	}
	return byHost, nil
}

// Resolve finds the credentials for a registry.
func (l logins) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if login, ok := l[host(target.RegistryStr())]; ok {
		return authn.FromConfig(login), nil
	}
	return authn.Anonymous, nil
}

// host is an address without scheme and path. Docker Hub goes by several names.
func host(address string) string {
	_, rest, found := strings.Cut(address, "://")
	if !found {
		rest = address
	}
	rest, _, _ = strings.Cut(rest, "/")
	switch rest {
	case "docker.io", "registry-1.docker.io":
		return name.DefaultRegistry
	}
	return rest
}
