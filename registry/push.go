package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// MayPush returns an error unless the login may push to the repository, whether
// that exists or not. An upload is begun for it, and given up again.
func (r *Repository) MayPush(ctx context.Context) error {
	err := r.classify(remote.CheckPushPermission(r.name.Tag(Latest), r.keychain(), patiently(ctx)))
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w; this registry wants the repository %s to be created before anything is pushed to it", err, r.name)
	}
	if err != nil {
		return fmt.Errorf("finding out whether %s may be pushed to: %w", r.name, err)
	}
	return nil
}

// passing are the answers of a registry that has too much to do, or is being
// restarted: it is asked again, with patience.
var (
	passing  = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	patience = transport.Backoff{Duration: time.Second, Factor: 3, Jitter: 0.1, Steps: 3}
)

func patiently(ctx context.Context) http.RoundTripper {
	return transport.NewRetry(bound{ctx}, transport.WithRetryBackoff(patience), transport.WithRetryStatusCodes(passing...))
}

// bound sends requests within a context, which the function above has none for.
type bound struct{ ctx context.Context }

func (b bound) RoundTrip(request *http.Request) (*http.Response, error) {
	return remote.DefaultTransport.RoundTrip(request.WithContext(b.ctx))
}
