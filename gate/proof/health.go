package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// pollInterval is how often a starting gateway is looked at.
	pollInterval = 250 * time.Millisecond
	// answerTimeout bounds one question to it.
	answerTimeout = 2 * time.Second
	// probeLimit is how long the image's own health check may take to succeed
	// once the gateway answers.
	probeLimit = 30 * time.Second
)

// errNotYet marks the answer of a gateway that may still become healthy.
var errNotYet = errors.New("last answer")

// awaitHealth waits until the gateway answers that it is well and of the
// expected version.
func (c *container) awaitHealth(ctx context.Context, version string, limit time.Duration) error {
	started := time.Now()
	for {
		err := c.askHealth(ctx, version)
		if !errors.Is(err, errNotYet) {
			return err
		}
		state, stateErr := c.state(ctx)
		switch {
		case stateErr != nil:
			return stateErr
		case !state.Running:
			return state.exited()
		case time.Since(started) > limit:
			return fmt.Errorf("the gateway is not healthy after %s; %w", limit, err)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// askHealth asks once. An answer with another version is final.
func (c *container) askHealth(ctx context.Context, version string) error {
	asking, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(asking, http.MethodGet, "http://"+c.address+"/api/health", nil)
	if err != nil {
		return fmt.Errorf("asking for the gateway's health: %w", err)
	}
	// An open connection could hold up the gateway's stop.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotYet, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("%w: %w", errNotYet, err)
	}
	var health struct{ Status, Version string }
	if json.Unmarshal(body, &health) != nil || response.StatusCode != http.StatusOK || health.Status != "ok" {
		return fmt.Errorf("%w: %s answers %s: %s", errNotYet, request.URL, response.Status, strings.TrimSpace(string(body)))
	}
	if health.Version != version {
		return fmt.Errorf("the gateway is healthy, but reports version %q instead of %q; build the source of that version, or correct clawft:version",
			health.Version, version)
	}
	return nil
}

// awaitProbe waits until the image's own health check has succeeded.
func (c *container) awaitProbe(ctx context.Context) error {
	started := time.Now()
	for {
		state, err := c.state(ctx)
		if err != nil {
			return err
		}
		output := ""
		if tries := state.Health.Log; len(tries) > 0 {
			output = ": " + strings.TrimSpace(tries[len(tries)-1].Output)
		}
		switch {
		case !state.Running:
			return state.exited()
		case state.Health.Status == "healthy":
			return nil
		case state.Health.Status == "unhealthy", time.Since(started) > probeLimit:
			return fmt.Errorf("the gateway answers, but the image's HEALTHCHECK says %s after %.0f s%s",
				state.Health.Status, time.Since(started).Seconds(), output)
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pollInterval):
		return nil
	}
}
