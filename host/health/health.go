package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/clawft/infra/host/deploy"
)

const (
	timeout = 5 * time.Second
	// The gateway's own answer has some 60 bytes.
	maxAnswer = 64 << 10
	// So much of a wrong answer is shown.
	shown = 200
)

// Client asks gateways. It uses no proxy, whatever the environment says, and follows nobody elsewhere.
type Client struct {
	http http.Client
}

var _ deploy.Health = (*Client)(nil)

// New returns a client.
func New() *Client {
	return &Client{http.Client{
		// One connection per question: one that is kept would be under way while the gateway is to stop.
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswer},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       timeout,
	}}
}

// Check is part of [deploy.Health].
func (c *Client) Check(ctx context.Context, at netip.AddrPort) (version string, err error) {
	if !at.IsValid() {
		return "", errors.New("the gateway has no address")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+"/api/health", nil)
	if err != nil {
		return "", fmt.Errorf("asking /api/health: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking /api/health: %w", plain(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return "", fmt.Errorf("reading the answer of /api/health: %w", plain(err))
	}
	if len(text) > maxAnswer {
		return "", fmt.Errorf("/api/health answers with more than %d bytes", maxAnswer)
	}
	var answer struct {
		Status  string `json:"status"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(text, &answer); response.StatusCode != http.StatusOK || err != nil || answer.Status != "ok" {
		return "", fmt.Errorf("/api/health answers %s", show(response.StatusCode, text))
	}
	return answer.Version, nil
}

// show returns an answer in one line, as people can read it.
func show(status int, text []byte) string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, strings.ToValidUTF8(string(text), "."))
	if runes := []rune(line); len(runes) > shown {
		line = string(runes[:shown]) + "…"
	}
	return strings.TrimSpace(fmt.Sprintf("HTTP %d %s", status, line))
}

// errNoAnswer stands for the several ways in which Go says so.
var errNoAnswer = fmt.Errorf("no answer within %v", timeout)

// plain leaves out what was asked, which the caller says.
func plain(err error) error {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errNoAnswer
	}
	if at := (*url.Error)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}
