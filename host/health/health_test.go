package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCheck(t *testing.T) {
	answers := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for _, test := range []struct {
		name    string
		answer  http.HandlerFunc
		version string
		want    string
	}{
		{"ok", answers(200, `{"status":"ok","version":"0.6.19","uptime_secs":3}`), "0.6.19", ""},
		{"ok, with spaces", answers(200, "{\n \"version\" : \"0.6.19\", \"status\" : \"ok\" }\n"), "0.6.19", ""},
		{"ok, without a version", answers(200, `{"status":"ok"}`), "", ""},
		{"unhealthy", answers(200, `{"status":"unhealthy","version":"0.6.19"}`), "", `/api/health answers HTTP 200 {"status":"unhealthy","version":"0.6.19"}`},
		{"healthy is not ok", answers(200, `{"status":"healthy","version":"0.6.19"}`), "", `/api/health answers HTTP 200 {"status":"healthy","version":"0.6.19"}`},
		{"ok elsewhere", answers(200, `{"status":"down","x":{"status":"ok"}}`), "", `/api/health answers HTTP 200 {"status":"down","x":{"status":"ok"}}`},
		{"ok, but 503", answers(503, `{"status":"ok","version":"0.6.19"}`), "", `/api/health answers HTTP 503 {"status":"ok","version":"0.6.19"}`},
		{"another success", answers(204, ""), "", "/api/health answers HTTP 204"},
		{"no such page", answers(404, "404 page not found\n"), "", "/api/health answers HTTP 404 404 page not found"},
		{"garbage", answers(200, "\x00\xff<html>\r\n\x1b[31m"), "", "/api/health answers HTTP 200 ..<html>  .[31m"},
		{"a list", answers(200, `["ok"]`), "", `/api/health answers HTTP 200 ["ok"]`},
		{"two documents", answers(200, `{"status":"ok"}{"status":"ok"}`), "", `/api/health answers HTTP 200 {"status":"ok"}{"status":"ok"}`},
		{"a number for a version", answers(200, `{"status":"ok","version":1}`), "", `/api/health answers HTTP 200 {"status":"ok","version":1}`},
		{"nothing", answers(200, ""), "", "/api/health answers HTTP 200"},
		{"long", answers(200, strings.Repeat("é", 300)), "", "/api/health answers HTTP 200 " + strings.Repeat("é", 200) + "…"},
		{"huge", answers(200, `{"status":"ok","x":"`+strings.Repeat("x", maxAnswer)+`"}`), "", "/api/health answers with more than 65536 bytes"},
		{"without end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, "", "/api/health answers with more than 65536 bytes"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ok" {
				fmt.Fprint(w, `{"status":"ok","version":"0.6.19"}`)
				return
			}
			http.Redirect(w, r, "/ok", http.StatusFound)
		}, "", `/api/health answers HTTP 302 <a href="/ok">Found</a>.`},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", "asking /api/health: EOF"},
		{"breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"status":"ok"}`)
		}, "", "reading the answer of /api/health: unexpected EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/api/health" && r.URL.Path != "/ok" {
					t.Errorf("asked %s %s", r.Method, r.URL)
				}
				test.answer(w, r)
			}))
			defer server.Close()
			version, err := New().Check(t.Context(), addressOf(t, server.Listener.Addr()))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if version != test.version || got != test.want {
				t.Errorf("got  %q, %s\nwant %q, %s", version, got, test.version, test.want)
			}
		})
	}
}

func addressOf(t *testing.T, address net.Addr) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(address.String())
}

// proxied counts who asks the proxy of the environment.
var proxied atomic.Int64

// TestMain sets the proxy before anybody reads the environment, which Go does once.
func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"} {
		os.Setenv(name, proxy.URL)
	}
	os.Exit(m.Run())
}

// Nothing of the environment sends the question elsewhere.
func TestNoProxy(t *testing.T) {
	// An address for documentation: Go uses no proxy for the machine's own anyway.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	New().Check(ctx, netip.MustParseAddrPort("192.0.2.1:18789")) //nolint:errcheck // nobody is there
	if proxied.Load() != 0 {
		t.Error("the proxy of the environment is asked")
	}
}

func TestNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := addressOf(t, listener.Addr())
	listener.Close()
	if _, err := New().Check(t.Context(), at); err == nil || !strings.HasSuffix(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	if _, err := New().Check(t.Context(), netip.AddrPort{}); err == nil || err.Error() != "the gateway has no address" {
		t.Errorf("no address: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New().Check(ctx, at); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// However slowly a gateway answers, it takes 5 s at most.
func TestHangs(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){
		"nothing":  func(net.Conn) {},
		"a header": func(conn net.Conn) { fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n") },
		"byte after byte": func(conn net.Conn) {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for {
				time.Sleep(time.Second)
				if _, err := fmt.Fprint(conn, " "); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := New()
				client.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
					here, there := net.Pipe()
					go func() {
						buffer := make([]byte, 4096)
						there.Read(buffer) //nolint:errcheck // the question
						answer(there)
					}()
					return here, nil
				}
				start := time.Now()
				_, err := client.Check(t.Context(), netip.MustParseAddrPort("192.0.2.1:18789"))
				if !errors.Is(err, errNoAnswer) || time.Since(start) != timeout {
					t.Errorf("after %v: got %v", time.Since(start), err)
				}
				// The gateway notices at its next byte.
				time.Sleep(2 * time.Second)
			})
		})
	}
}
