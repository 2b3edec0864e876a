package release

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Redactor replaces secrets by their names in what is shown.
type Redactor struct{ replacer *strings.Replacer }

// NewRedactor knows the secrets of some releases: each as it is, and as JSON, a URL or base64
// would write it. Values of up to three characters and the log level are no secrets, and would
// hit other words.
func NewRedactor(releases ...Release) Redactor {
	names := map[string]string{}
	add := func(name, secret string) {
		if len(secret) <= 3 {
			return
		}
		quoted, _ := json.Marshal(secret)
		for _, spelled := range []string{
			secret, string(quoted[1 : len(quoted)-1]), url.QueryEscape(secret), url.PathEscape(secret),
			base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			names[spelled] = name
		}
	}
	for _, r := range releases {
		for name, value := range r.Env {
			if name != "RUST_LOG" {
				add(name, value)
			}
		}
		if r.Registry != nil {
			add("registry password", r.Registry.Password)
			add("registry password", base64.StdEncoding.EncodeToString([]byte(r.Registry.Username+":"+r.Registry.Password)))
		}
	}
	secrets := make([]string, 0, len(names))
	for secret := range names {
		secrets = append(secrets, secret)
	}
	// A secret may be a part of another one: the longest is tried first.
	slices.SortFunc(secrets, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(secrets))
	for _, secret := range secrets {
		pairs = append(pairs, secret, "["+names[secret]+"]")
	}
	return Redactor{strings.NewReplacer(pairs...)}
}

// Redact replaces the secrets in a text.
func (r Redactor) Redact(text string) string {
	if r.replacer == nil {
		return text
	}
	return r.replacer.Replace(text)
}
