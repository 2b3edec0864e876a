package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy" // one of the handlers in the configuration below
	_ "github.com/caddyserver/caddy/v2/modules/logging"                // its log's encoder
)

// configuration is Caddy's. It never changes: which gateways there are, and where they listen, is
// not in it.
//
// One connection per request, so that none is written to a connection that a gateway is about to
// close; pooled ones would save some 0.4 ms. What the proxying handler logs is what it gets to see
// when a stream is ended on purpose.
const configuration = `{
	"logging": {"logs": {"default": {
		"level": "WARN",
		"encoder": {"format": "console", "time_key": ""},
		"exclude": ["http.handlers.reverse_proxy"]
	}}},
	"apps": {
		"http": {"servers": {"private": {
			"listen": ["clawft/gateways"],
			"protocols": ["h1", "h2c"],
			"automatic_https": {"disable": true},
			"routes": [{"handle": [
				{"handler": "clawft_private"},
				{"handler": "clawft_hold"},
				{
					"handler": "reverse_proxy",
					"upstreams": [{"dial": "{http.vars.` + upstreamVar + `}"}],
					"flush_interval": -1,
					"transport": {
						"protocol": "http",
						"versions": ["1.1"],
						"keep_alive": {"enabled": false},
						"compression": false,
						"dial_timeout": "1s",
						"network_proxy": {"from": "none"}
					}
				}
			]}]
		}}}
	}
}`

var (
	_ caddyhttp.MiddlewareHandler = Hold{}
	_ caddyhttp.MiddlewareHandler = Private{}
)

func init() {
	caddy.RegisterModule(Hold{})
	caddy.RegisterModule(Private{})
	caddy.RegisterNetwork("clawft", func(context.Context, string, string, string, uint, net.ListenConfig) (any, error) {
		return fronts.doors, nil
	})
}

// startCaddy starts the servers of the configuration, and nothing else of Caddy: no endpoint to
// change it, no copy on disk, and no messages to systemd, to whom this process speaks itself.
func startCaddy() (caddy.App, error) {
	var config caddy.Config
	if err := json.Unmarshal([]byte(configuration), &config); err != nil {
		return nil, fmt.Errorf("reading Caddy's configuration: %w", err)
	}
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		return nil, fmt.Errorf("preparing Caddy: %w", err)
	}
	servers, err := ctx.App("http")
	if err != nil {
		return nil, fmt.Errorf("preparing Caddy: %w", err)
	}
	app := servers.(caddy.App)
	if err := app.Start(); err != nil {
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	return app, nil
}
