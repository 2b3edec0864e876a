package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Private keeps web pages of others from a gateway that has no authentication. Its socket is
// reached through SSH, mostly by a browser or a program on the operator's machine; there, every
// page of every site can send requests to localhost too, and a name that was rebound to it even
// gets to read the answers.
type Private struct{}

// CaddyModule makes it known to Caddy.
func (Private) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.clawft_private", New: func() caddy.Module { return new(Private) }}
}

func (Private) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if status, why := foreign(r); status != 0 {
		if !fronts.lasting() {
			w.Header().Set("Connection", "close")
		}
		http.Error(w, why, status)
		return nil
	}
	return next.ServeHTTP(w, r)
}

// foreign answers a request that may come from a page of another origin: 421 when it is for
// another name than this machine's own, 403 when another page sends it. It does not look at the
// method: what a browser calls simple can do harm, and a WebSocket is not bound by CORS at all.
func foreign(r *http.Request) (status int, why string) {
	if !local(r.Host) {
		return http.StatusMisdirectedRequest, fmt.Sprintf(
			"This socket answers only as localhost, 127.0.0.1 or [::1], with any port, and not as %q.", r.Host)
	}
	// Browsers send Origin with all that can change something and with every WebSocket, but not with
	// every GET; Sec-Fetch-Site with everything, but only newer ones; Referer unless a page forbids it.
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+r.Host {
			return http.StatusForbidden, fmt.Sprintf(
				"A page of %q may not use this gateway: it is not for other web sites (Origin).", origin)
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return http.StatusForbidden, fmt.Sprintf(
				"A page of another origin may not use this gateway (Sec-Fetch-Site: %s).", site)
		}
	}
	for _, referer := range r.Header.Values("Referer") {
		from, err := url.Parse(referer)
		if err != nil || from.Scheme != "http" || from.Host != r.Host {
			return http.StatusForbidden, fmt.Sprintf(
				"A page of %q may not use this gateway: it is not for other web sites (Referer).", referer)
		}
	}
	return 0, ""
}

// local tells whether a Host header names the machine itself. What else leads there (localhost.,
// 127.1, [::ffff:127.0.0.1], 0.0.0.0) is what attacks are made of.
func local(host string) bool {
	name := host
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		name = host[:colon]
		if n, err := strconv.ParseUint(host[colon+1:], 10, 16); err != nil || n == 0 || host[colon+1] == '0' {
			return false
		}
	}
	return strings.EqualFold(name, "localhost") || name == "127.0.0.1" || name == "[::1]"
}
