package engine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/clawft/infra/host/deploy"
	"github.com/clawft/infra/host/release"
)

const (
	digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	image  = "ghcr.io/acme/certificates@" + digest
)

// What engines say when a pull fails, with Docker's own store of images (as from 20.10) and with containerd's (as from
// 29). Most comes with status 500, or within an answer that has begun, and then has only its words.
var pullFailures = []struct {
	name    string
	status  int
	message string
	final   bool
	want    string
}{
	{"login, Docker's", 500, `Head "https://ghcr.io/v2/acme/certificates/manifests/` + digest + `": unauthorized`, true, "the registry refuses the login"},
	{"no login, Docker's", 500, `Get "https://reg.example/v2/acme/certificates/manifests/x": no basic auth credentials`, true, "the registry refuses the login"},
	{"private, Docker's", 404, "pull access denied for acme/certificates, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", true, "the registry refuses the login"},
	{"login, containerd's", 500, `failed to resolve reference "ghcr.io/acme/certificates@` + digest + `": failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://ghcr.io/token: 403 Forbidden`, true, "the registry refuses the login"},
	{"private, containerd's", 404, "pull access denied for ghcr.io/acme/certificates, repository does not exist or may require 'docker login': server message: insufficient_scope: authorization failed", true, "the registry refuses the login"},
	{"status only", 401, "incorrect username or password", true, "the registry refuses the login"},
	{"no manifest, Docker's", 404, "manifest for ghcr.io/acme/certificates@" + digest + " not found: manifest unknown: OCI index found, but accept header does not support OCI indexes", true, "the registry does not have it"},
	{"no manifest, containerd's", 404, `failed to resolve reference "ghcr.io/acme/certificates@` + digest + `": ghcr.io/acme/certificates@` + digest + `: not found`, true, "the registry does not have it"},
	{"no repository", 404, "repository ghcr.io/acme/certificates not found: name unknown: The repository does not exist", true, "the registry does not have it"},
	{"platform, Docker's", 404, "no matching manifest for linux/amd64 in the manifest list entries", true, "wrong architecture: it is built for linux/arm, linux/arm64, and not for this host"},
	{"platform, containerd's", 404, `no match for platform in manifest: not found`, true, "wrong architecture: it is built for linux/arm, linux/arm64, and not for this host"},
	{"certificate", 500, `Get "https://ghcr.io/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`, true, "the registry's certificate is not trusted"},
	{"a registry without TLS", 500, `Get "https://reg.example:5000/v2/": http: server gave HTTP response to HTTPS client`, true, "the registry's certificate is not trusted"},
	{"the clock", 500, `Get "https://ghcr.io/v2/": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2020-01-01T00:00:00Z is before 2026-01-01T00:00:00Z`, true, "; this host's clock says 2"},
	{"a full disk", 500, "write /var/lib/docker/tmp/GetImageBlob123: no space left on device", true, "the disk is full"},
	{"other content", 500, "filesystem layer verification failed for digest sha256:0123", true, "what comes is not what was asked for"},
	{"too many requests", 429, "toomanyrequests: You have reached your pull rate limit.", false, ""},
	{"no route", 500, `Get "https://ghcr.io/v2/": dial tcp 140.82.121.33:443: connect: network is unreachable`, false, ""},
	{"names", 500, `Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 127.0.0.53:53: server misbehaving`, false, ""},
	{"timeout", 500, `Get "https://ghcr.io/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)`, false, ""},
	{"the registry is ill", 500, "received unexpected HTTP status: 503 Service Unavailable", false, ""},
	{"the registry is ill, containerd's", 500, `failed to resolve reference "ghcr.io/acme/certificates@` + digest + `": unexpected status from HEAD request to https://ghcr.io/v2/acme/certificates/manifests/` + digest + `: 502 Bad Gateway`, false, ""},
	{"broken off", 500, "unexpected EOF", false, ""},
	{"broken off, containerd's", 500, "failed to copy: httpReadSeeker: failed open: unexpected EOF", false, ""},
}

func TestPullFailures(t *testing.T) {
	const progress = `{"status":"Pulling from acme/certificates","id":"x"}` + "\n" + `{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"0123"}` + "\n"
	for _, test := range pullFailures {
		quoted, err := json.Marshal(test.message)
		if err != nil {
			t.Fatal(err)
		}
		for how, handler := range map[string]http.HandlerFunc{
			"at once":     refuse(test.status, test.message),
			"within":      text(fmt.Sprintf(`%s{"errorDetail":{"message":%s},"error":%s}`, progress, quoted, quoted)),
			"with a code": text(fmt.Sprintf(`%s{"errorDetail":{"code":%d,"message":%s},"error":%s}`, progress, test.status, quoted, quoted)),
		} {
			if test.name == "status only" && how != "at once" {
				continue
			}
			t.Run(test.name+", "+how, func(t *testing.T) {
				f := newFake(t, "1.41", map[string]http.HandlerFunc{
					"POST /images/create":          handler,
					"GET /distribution/{image...}": text(`{"Platforms":[{"os":"linux","architecture":"arm64"},{"os":"linux","architecture":"arm"},{"os":"unknown","architecture":"unknown"}]}`),
				})
				err := f.Pull(t.Context(), image, nil)
				if err == nil {
					t.Fatal("it succeeds")
				}
				if errors.Is(err, deploy.ErrFinal) != test.final || !strings.Contains(err.Error(), test.want) {
					t.Errorf("final %v: got %v", errors.Is(err, deploy.ErrFinal), err)
				}
				if !strings.HasPrefix(err.Error(), "pulling "+image+": ") || !strings.Contains(err.Error(), test.message) || strings.Contains(err.Error(), "Error response from daemon") {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// An answer that ends without an error does not mean that the image is there.
func TestPullWithoutEnd(t *testing.T) {
	for name, stream := range map[string]string{
		"between two messages": `{"status":"Pulling from acme/certificates"}` + "\n", "within one": `{"status":"Pul`, "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "1.52", map[string]http.HandlerFunc{"POST /images/create": text(stream), "GET /images/{image...}": refuse(404, "No such image: "+image)})
			if err := f.Pull(t.Context(), image, nil); err == nil || errors.Is(err, deploy.ErrFinal) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	for _, test := range []struct {
		login *release.RegistryLogin
		want  string
	}{
		{nil, `{}`},
		{&release.RegistryLogin{Address: "ghcr.io", Username: "me", Password: "p/+~\u00e9"}, `{"username":"me","password":"p/+~é","serveraddress":"ghcr.io"}`},
		{&release.RegistryLogin{Address: "docker.io", Username: "me", Password: "p"}, `{"username":"me","password":"p","serveraddress":"https://index.docker.io/v1/"}`},
	} {
		var got string
		f := newFake(t, "1.41", map[string]http.HandlerFunc{
			"POST /images/create": func(_ http.ResponseWriter, r *http.Request) {
				data, err := base64.URLEncoding.DecodeString(r.Header.Get("X-Registry-Auth"))
				if err != nil {
					t.Error(err)
				}
				got = string(data)
				if name, tag := r.URL.Query().Get("fromImage"), r.URL.Query().Get("tag"); name+"@"+tag != image {
					t.Errorf("pulled %s at %s", name, tag)
				}
			},
			"GET /images/{image...}": text(`{"Id":"sha256:1","Os":"linux","Architecture":"amd64"}`),
		})
		if err := f.Pull(t.Context(), image, test.login); err != nil {
			t.Fatal(err)
		}
		if got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}
