package pipeline

import (
	"net/netip"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/sshkey"
)

// SSH says how machines are reached.
type SSH struct {
	// CIDR blocks from which the firewall of Hetzner servers lets SSH in.
	AllowedSources []string `json:"allowedSources" default:"0.0.0.0/0,::/0"`

	// Public keys, one line each, that log in to every machine beside the one of
	// `sshPrivateKey`, for colleagues or to change that one. The machines' login
	// user accepts them; keys that are removed here are removed there.
	AuthorizedKeys []string `json:"authorizedKeys"`

	// PrivateKey is nil if the stack generates a key.
	PrivateKey pulumi.StringInput `json:"-"`
}

func (s *SSH) check(r *report, path string) {
	at := path + ".allowedSources"
	if len(s.AllowedSources) == 0 {
		r.wrong(at, "an empty list", "at least one CIDR block, or nobody reaches the servers, the pipeline neither")
	}
	for i, source := range s.AllowedSources {
		block, err := netip.ParsePrefix(source)
		switch {
		case err != nil:
			r.wrong(elementPath(at, i), quote(source), "a CIDR block, such as 203.0.113.0/24 or 203.0.113.7/32")
		case block != block.Masked():
			r.wrong(elementPath(at, i), quote(source), "%s, or %s/%d for the one address", block.Masked(), block.Addr(), block.Addr().BitLen())
		}
	}
	s.checkAuthorizedKeys(r, path+".authorizedKeys")
}

// checkAuthorizedKeys reports keys that would let nobody in.
func (s *SSH) checkAuthorizedKeys(r *report, path string) {
	first := map[string]int{}
	for i, text := range s.AuthorizedKeys {
		at := elementPath(path, i)
		key, refused := sshkey.Authorized(text)
		if refused != nil {
			given := refused.Given
			if given == "" {
				given = quote(text)
			}
			r.wrong(at, given, "%s", refused.Want)
			continue
		}
		bare := strings.Join(strings.Fields(key)[:2], " ")
		if other, found := first[bare]; found {
			r.wrong(at, quote(text)+", the key of "+elementPath(path, other), "each key once")
			continue
		}
		first[bare] = i
	}
}

func (s *SSH) checkKey(r *report, path, key string, hosts []Host) {
	if key == "" {
		for _, host := range hosts {
			if host.Address != "" {
				r.wrong(path, nothing, "the private key that logs in to the existing machine %s: %s < ~/.ssh/id_ed25519",
					host.Name, r.setSecretCommand(path))
				return
			}
		}
		return
	}
	if _, refused := sshkey.Login(key); refused != nil {
		r.wrong(path, refused.Given, "%s; %s < FILE", refused.Want, r.setSecretCommand(path))
	}
}

func (s *SSH) complete(key string) {
	for i, text := range s.AuthorizedKeys {
		s.AuthorizedKeys[i], _ = sshkey.Authorized(text)
	}
	if key, refused := sshkey.Login(key); refused == nil {
		s.PrivateKey = secret(key)
	}
}
