package components

import (
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/internal/recorder"
)

// registerIdentity registers an identity and a resource that shows its keys.
func registerIdentity(private pulumi.StringInput, servers bool) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		identity, err := NewIdentity(ctx, "ssh", &IdentityArgs{PrivateKey: private, Servers: servers})
		if err != nil {
			return err
		}
		shown := &struct{ pulumi.CustomResourceState }{}
		return ctx.RegisterResource("test:index:Shown", "shown", pulumi.Map{
			"private": identity.PrivateKey,
			"public":  identity.PublicKey,
			"first":   identity.FirstBootKey,
		}, shown)
	}
}

func TestIdentityDerivesThePublicKey(t *testing.T) {
	private, public := keyPair(t, 2)
	for _, test := range []struct {
		name  string
		given pulumi.StringInput
	}{
		{"of a secret", pulumi.ToSecret(pulumi.String(private)).(pulumi.StringOutput)},
		{"of what was not marked as a secret", pulumi.String(private)},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				mustRun(t, r, registerIdentity(test.given, false))
				shown := mustFind(t, r, "test:index:Shown", "shown")
				wantSecret(t, shown, "private")
				wantInputs(t, shown, map[string]string{"public": `"` + public + `"`})
				if shown.Inputs["public"].IsSecret() {
					t.Error("the public key is hidden in every diff")
				}
				wantNoPlainText(t, r, "PRIVATE KEY")
				if r.Find("tls:index/privateKey:PrivateKey", "ssh-key") != nil {
					t.Error("a key was generated although one was given")
				}
			})
		})
	}
}

func TestIdentityGeneratesAKey(t *testing.T) {
	_, generated := keyPair(t, 1)
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		mustRun(t, r, registerIdentity(nil, false))
		wantInputs(t, mustFind(t, r, "tls:index/privateKey:PrivateKey", "ssh-key"), map[string]string{"algorithm": `"ED25519"`})
		shown := mustFind(t, r, "test:index:Shown", "shown")
		wantSecret(t, shown, "private")
		want := `"` + generated + `"`
		if r.Preview {
			want = `"unknown"`
		}
		wantInputs(t, shown, map[string]string{"public": want})
		wantNoPlainText(t, r, "PRIVATE KEY")
	})
}

// What servers are created with is no login key of anybody: it stays when that
// one changes.
func TestServersHaveAKeyOfTheirOwn(t *testing.T) {
	_, generated := keyPair(t, 1)
	private, public := keyPair(t, 2)
	for _, test := range []struct {
		name    string
		given   pulumi.StringInput
		servers bool
		public  string
		first   string
	}{
		{"a key is given, and there are servers", pulumi.String(private), true, public, generated},
		{"a key is given, and there are none", pulumi.String(private), false, public, ""},
		{"no key is given", nil, true, generated, generated},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t)
			mustRun(t, r, registerIdentity(test.given, test.servers))
			wantInputs(t, mustFind(t, r, "test:index:Shown", "shown"), map[string]string{
				"public": `"` + test.public + `"`, "first": `"` + test.first + `"`,
			})
		})
	}
}

func TestIdentityDoesNotShowABadKey(t *testing.T) {
	const planted = "planted-in-the-key"
	private, _ := keyPair(t, 2)
	block, _ := pem.Decode([]byte(private))
	for _, test := range []struct{ name, key string }{
		{"no key at all", planted},
		{"a password in the wrong place", "-----BEGIN " + planted + "-----\nAAAA\n-----END " + planted + "-----\n"},
		{"a cut key", string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: append(block.Bytes[:len(block.Bytes)/2:len(block.Bytes)/2], planted...)}))},
		{"another format", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(planted)}))},
		{"an unknown algorithm", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte(planted)}))},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecorder(t)
			err := r.Run(registerIdentity(pulumi.String(test.key), false))
			if want := "reading the SSH private key: it is not an unencrypted private key in OpenSSH or PEM format"; err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("got %v, want %s", err, want)
			}
			for _, leak := range []string{planted, base64.StdEncoding.EncodeToString([]byte(planted)), block.Type + "-----"} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("the error shows the key: %v", err)
				}
			}
			wantNoPlainText(t, r, planted)
		})
	}
}
