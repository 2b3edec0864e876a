package pipeline

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/clawft/infra/internal/testkey"
	"github.com/clawft/infra/signature"
)

// signingKeyPair returns a private key and its public half, in PEM format.
func signingKeyPair(t *testing.T) (private, public string) {
	t.Helper()
	key, private := testkey.New(t)
	return private, key.Public().String()
}

func quoted(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWrongKeys(t *testing.T) {
	private, public := signingKeyPair(t)
	_, other := signingKeyPair(t)
	const built, given = "source: src", "digest: '" + digest + "'"
	image := func(origin string, keys []string, signingKey string) map[string]string {
		all := imageWith(origin + ", publicKeys: " + quoted(t, keys))
		if signingKey != "" {
			all["signingKey"] = "{secure: " + quoted(t, signingKey) + "}"
		}
		return all
	}
	testWrong(t, []wrongConfig{
		{"a key that is none", image(built, nil, "canary"), []string{
			"clawft:signingKey: got a value that is none; want a private key of the curve P-256, in PEM format and without a passphrase: " +
				"it is not a private key in PEM format; make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
		}},
		{"a public key as the private one", image(built, nil, public), []string{
			"clawft:signingKey: got a value that is none; want a private key of the curve P-256, in PEM format and without a passphrase: " +
				`it is of the type "PUBLIC KEY" instead of an unencrypted PRIVATE KEY; make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`,
		}},
		{"a private key as a public one", image(given, []string{public, private}, ""), []string{
			"clawft:image.publicKeys[1]: got a value that is none; want a public key of the curve P-256, as `openssl pkey -pubout` prints it: " +
				"it is not a public key in PEM format, beginning with -----BEGIN PUBLIC KEY-----",
		}},
		{"nobody to sign", image(built, []string{public}, ""), []string{
			"clawft:signingKey: got nothing; want the private key of one of image.publicKeys: pulumi config set --stack dev --secret clawft:signingKey",
		}},
		{"signed by a stranger", image(built, []string{other}, private), []string{
			"clawft:image.publicKeys: got keys without the one that signs; want also the public half of clawft:signingKey:\n" + public,
		}},
		{"keys without signing", image(built+", sign: false", []string{public}, private), []string{
			"clawft:image.publicKeys: got keys; want none, because an image that this stack builds and does not sign (image.sign is false) is signed by nobody",
			"clawft:signingKey: got a key; want none, because image.sign is false",
		}},
	})
}

func TestWhoseSignatureIsDemanded(t *testing.T) {
	private, public := signingKeyPair(t)
	_, other := signingKeyPair(t)
	const built, given = "source: src", "digest: '" + digest + "'"
	for _, test := range []struct {
		name, origin, signingKey string
		keys, want               []string
		signs                    bool
	}{
		{"built", built, "", nil, nil, true},
		{"built, with a key", built, private, nil, []string{public}, true},
		{"built, while keys change", built, private, []string{other, public}, []string{other, public}, true},
		{"built, not signed", built + ", sign: false", "", nil, nil, false},
		{"given", given, "", nil, nil, false},
		{"given, signed by others", given, "", []string{other}, []string{other}, false},
		// The digest that this stack published is deployed again.
		{"given, with a key", given, private, nil, []string{public}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys := imageWith(test.origin + ", publicKeys: " + quoted(t, test.keys))
			if test.signingKey != "" {
				keys["signingKey"] = "{secure: " + quoted(t, test.signingKey) + "}"
			}
			cfg, err := with(keys).load(t, "dev")
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Image; got.signs() != test.signs || !slices.Equal(got.PublicKeys, test.want) {
				t.Errorf("signs is %v, and the keys are %q; want %v, %q", got.signs(), got.PublicKeys, test.signs, test.want)
			}
			if test.signingKey == "" {
				if cfg.Image.SigningKey != nil {
					t.Error("there is a key to sign with that nobody gave")
				}
				return
			}
			if got := plain(t, cfg.Image.SigningKey); got != test.signingKey {
				t.Error("the key to sign with is another one")
			}
		})
	}
}

// What a host gets is what it needs to check the signature by itself.
func TestHostsAreGivenTheSignature(t *testing.T) {
	private, public := signingKeyPair(t)
	for _, test := range []struct {
		name  string
		image map[string]any
		gate  string
	}{
		{"built and signed here", nil, "gateway-attest"},
		{"signed already", map[string]any{"source": "", "ref": "", "publish": false, "digest": digest}, "gateway-signed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := recordedStack(t, "prod")
			for key, value := range test.image {
				setPath(t, r, "clawft:image", key, value)
			}
			r.Config["clawft:signingKey"] = private
			r.SecretKeys = append(r.SecretKeys, "clawft:signingKey")
			if err := r.Run(Deploy); err != nil {
				t.Fatal(err)
			}
			if r.Find("tls:index/privateKey:PrivateKey", "gateway-signing-key") != nil {
				t.Error("a key is generated, although one is given")
			}
			for _, name := range []string{"gw-1-release", "gw-2-release"} {
				if !waitsFor(t, r, "command:remote:Command", name, "stdin", test.gate) {
					t.Errorf("%s does not wait for %s", name, test.gate)
				}
				var release struct{ Signature signature.Proof }
				stdin := r.Find("command:remote:Command", name).Inputs["stdin"].SecretValue().Element.StringValue()
				if err := json.Unmarshal([]byte(stdin), &release); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(release.Signature.Keys, []string{public}) || string(release.Signature.Payload) != "of "+digest {
					t.Errorf("%s is given %+v", name, release.Signature)
				}
			}
		})
	}
}
