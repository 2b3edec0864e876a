package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestLocal(t *testing.T) {
	for _, name := range []string{"localhost", "LocalHost", "127.0.0.1", "[::1]"} {
		for _, port := range []string{"", ":1", ":80", ":8080", ":65535"} {
			if !local(name + port) {
				t.Errorf("%q is refused", name+port)
			}
		}
		for _, port := range []string{":", ":0", ":080", ":65536", ":-1", ":+80", ":8080:evil.example", ":http", ": 80"} {
			if local(name + port) {
				t.Errorf("%q is let in", name+port)
			}
		}
	}
	for _, name := range []string{"", ":8080", "evil.example", "localhost.", "localhost.evil.example", "evil.localhost",
		"127.0.0.2", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "0.0.0.0", "::1", "[::]", "[::ffff:127.0.0.1]", "[::1%eth0]", "[0:0:0:0:0:0:0:1]",
		"127.0.0.1.nip.io", "localhost@evil.example", "evil.example#localhost", "localhost/", "localhost\\", " localhost", "[::1].evil.example", "169.254.169.254"} {
		for _, port := range []string{"", ":8080"} {
			if local(name + port) {
				t.Errorf("%q is let in", name+port)
			}
		}
	}
}

// page is a request as a browser sends it for a page of some origin.
type page struct{ host, origin, site, referer string }

func (p page) request(method string, upgrade bool) *http.Request {
	r := httptest.NewRequest(method, "/api/chat", nil)
	r.Host = p.host
	for name, value := range map[string]string{"Origin": p.origin, "Sec-Fetch-Site": p.site, "Referer": p.referer} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if upgrade {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
	}
	return r
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X"}

// status asks the handler, and 200 is what comes after it.
func status(r *http.Request) int {
	w := httptest.NewRecorder()
	err := Private{}.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
	if err != nil {
		return http.StatusInternalServerError
	}
	return w.Code
}

// TestPrivate goes through every combination of what tells where a request comes from, with every
// method, and as a WebSocket: it passes only if each of the four says that it may.
func TestPrivate(t *testing.T) {
	const host = "localhost:8080"
	hosts := map[string]bool{host: true, "127.0.0.1:8080": false, "evil.example:8080": false, "evil.example": false, "": false}
	origins := map[string]bool{"": true, "http://" + host: true,
		"https://" + host: false, "http://localhost": false, "http://localhost:3000": false, "http://127.0.0.1:8080": false,
		"https://evil.example": false, "http://evil.example:8080": false, "http://localhost.evil.example:8080": false,
		"null": false, "file://": false, "chrome-extension://abc": false, "http://" + host + ".evil.example": false, "*": false}
	sites := map[string]bool{"": true, "none": true, "same-origin": true, "same-site": false, "cross-site": false, "new-word": false}
	referers := map[string]bool{"": true, "http://" + host + "/": true, "http://" + host + "/chat?x=1": true,
		"https://evil.example/": false, "http://evil.example/" + host: false, "http://localhost:3000/": false, "http://" + host + "@evil.example/": false,
		"https://" + host + "/": false, "::": false}
	tried, passed := 0, 0
	for h, hostFits := range hosts {
		for o, originFits := range origins {
			for s, siteFits := range sites {
				for f, refererFits := range referers {
					for _, method := range methods {
						for _, upgrade := range []bool{false, true} {
							p := page{h, o, s, f}
							if h == "127.0.0.1:8080" {
								// As such it may be asked, but not by a page of localhost.
								hostFits = o == "" && f == "" || o == "http://"+h && f == ""
								originFits = hostFits
							}
							want := http.StatusForbidden
							switch {
							case h == "" || h == "evil.example" || h == "evil.example:8080":
								want = http.StatusMisdirectedRequest
							case hostFits && originFits && siteFits && refererFits:
								want = http.StatusOK
								passed++
							}
							tried++
							if got := status(p.request(method, upgrade)); got != want {
								t.Fatalf("%s (upgrade %v) of %+v: status %d, want %d", method, upgrade, p, got, want)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d combinations, %d pass", tried, passed)
}

// TestNoForeignPagePasses makes the requests that browsers make for a page of each origin, as new
// and as old ones do, also after the page had its own name rebound to the tunnel.
func TestNoForeignPagePasses(t *testing.T) {
	const tunnel = "localhost:8080"
	for _, origin := range []string{"https://evil.example", "http://evil.example", "http://evil.example:8080", "null",
		"http://localhost", "http://localhost:3000", "https://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "http://sub.localhost:8080"} {
		for _, method := range methods {
			for _, upgrade := range []bool{false, true} {
				// Browsers leave Origin out of plain GETs and HEADs, and old ones do not send Sec-Fetch-Site.
				for _, site := range []string{"cross-site", "same-site", ""} {
					plain := (method == "GET" || method == "HEAD") && !upgrade
					p := page{host: tunnel, origin: origin, site: site}
					if got := status(p.request(method, upgrade)); got != http.StatusForbidden {
						t.Errorf("%s (upgrade %v) of a page of %s, Sec-Fetch-Site %q: status %d", method, upgrade, origin, site, got)
					}
					if plain && site != "" {
						p.origin = ""
						if got := status(p.request(method, upgrade)); got != http.StatusForbidden {
							t.Errorf("%s of a page of %s without Origin: status %d", method, origin, got)
						}
					}
					if plain && origin != "null" {
						p = page{host: tunnel, referer: origin + "/"}
						if got := status(p.request(method, upgrade)); got != http.StatusForbidden {
							t.Errorf("%s of a page of %s with nothing but a Referer: status %d", method, origin, got)
						}
					}
				}
				// Rebound: the page is of the same origin as what it asks.
				rebound := page{host: "evil.example:8080", origin: "http://evil.example:8080", site: "same-origin", referer: "http://evil.example:8080/"}
				if got := status(rebound.request(method, upgrade)); got != http.StatusMisdirectedRequest {
					t.Errorf("%s (upgrade %v) of a rebound page: status %d", method, upgrade, got)
				}
			}
		}
	}
	for n, name := range []string{"Origin", "Sec-Fetch-Site", "Referer"} {
		own := []string{"http://" + tunnel, "same-origin", "http://" + tunnel + "/"}[n]
		foreign := []string{"https://evil.example", "cross-site", "https://evil.example/"}[n]
		for _, values := range [][]string{{own, foreign}, {foreign, own}} {
			r := page{host: tunnel}.request("POST", false)
			r.Header[name] = values
			if got := status(r); got != http.StatusForbidden {
				t.Errorf("%s twice, as %s: status %d", name, fmt.Sprint(values), got)
			}
		}
	}
}
