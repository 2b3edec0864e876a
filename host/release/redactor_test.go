package release

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

func TestRedactor(t *testing.T) {
	r := testRelease()
	r.Env["LONG"], r.Env["PART"], r.Env["SHORT"] = "a-secret-that-goes-on", "a-secret", "abc"
	secret := r.Env["OPENAI_API_KEY"]
	redactor := NewRedactor(r)
	for _, c := range []struct{ name, text, want string }{
		{"as it is", "key " + secret + ".", "key [OPENAI_API_KEY]."},
		{"in JSON", `{"key":"sk-\"quoted\" \u003c\u0026\u003e \\ value"}`, `{"key":"[OPENAI_API_KEY]"}`},
		{"in a URL", "?key=" + url.QueryEscape(secret), "?key=[OPENAI_API_KEY]"},
		{"in a path", "/" + url.PathEscape(secret), "/[OPENAI_API_KEY]"},
		{"in base64", base64.StdEncoding.EncodeToString([]byte(secret)), "[OPENAI_API_KEY]="},
		{"the longest", "a-secret-that-goes-on a-secret-that", "[LONG] [PART]-that"},
		{"what is none", "abc info", "abc info"},
		{"the registry's", "a-password " + base64.StdEncoding.EncodeToString([]byte("clawft:a-password")), "[registry password] [registry password]"},
	} {
		if got := redactor.Redact(c.text); strings.TrimSuffix(got, "=") != strings.TrimSuffix(c.want, "=") {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if got := (Redactor{}).Redact("text"); got != "text" {
		t.Errorf("nothing is secret, and it is %s", got)
	}
}
