package components

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/internal/recorder"
	"github.com/clawft/infra/signature"
)

const (
	planted     = "-----BEGIN PRIVATE KEY-----planted"
	generated   = "-----BEGIN EC PRIVATE KEY-----generated"
	trustedKey  = "-----BEGIN PUBLIC KEY-----trusted"
	gateForSign = "gateway-attest"
)

// signatureOf registers a signature and a publication that takes the digest from
// it.
func signatureOf(t *testing.T, r *recorder.Recorder, args *SignatureArgs) {
	t.Helper()
	proof, err := json.Marshal(signature.Proof{Keys: []string{trustedKey}})
	if err != nil {
		t.Fatal(err)
	}
	r.Outputs[gateType] = func(resource.PropertyMap) resource.PropertyMap {
		return resource.PropertyMap{"stdout": resource.NewProperty(string(proof))}
	}
	r.Outputs["tls:index/privateKey:PrivateKey"] = func(resource.PropertyMap) resource.PropertyMap {
		return resource.PropertyMap{"privateKeyPem": resource.NewProperty(generated)}
	}
	args.Repository, args.Digest = "ghcr.io/clawft/clawft", pulumi.String(builtDigest)
	mustRun(t, r, func(ctx *pulumi.Context) error {
		signed, err := NewSignature(ctx, "gateway", args)
		if err != nil {
			return err
		}
		_, err = NewPublication(ctx, "gateway", &PublicationArgs{Repository: args.Repository, Digest: signed.Digest, Tags: []string{"0.6.19"}})
		return err
	})
}

func TestSignatureIsMadeBeforeTheTags(t *testing.T) {
	for _, test := range []struct {
		name, key string
		private   pulumi.StringInput
	}{
		{"with a key of its own", generated, nil},
		{"with a given key", planted, pulumi.ToSecret(pulumi.String(planted)).(pulumi.StringOutput)},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
				signatureOf(t, r, &SignatureArgs{Sign: &SignArgs{PrivateKey: test.private, Build: attest.Build{Source: "./src", Version: "0.6.19"}}})
				gate := mustFind(t, r, gateType, gateForSign)
				wantInputs(t, gate, map[string]string{"create": `"go run github.com/clawft/infra/gate attest"`, "delete": "null"})
				wantSecret(t, gate, "stdin")
				wantNoPlainText(t, r, test.key)
				tag := mustFind(t, r, "docker-build:index:Index", "gateway-tag-0.6.19")
				if r.Preview {
					wantInputs(t, tag, map[string]string{"sources": `["unknown"]`})
					return
				}
				wantInputs(t, tag, map[string]string{"sources": `["ghcr.io/clawft/clawft@` + builtDigest + `"]`})
				var document attest.Attest
				if err := json.Unmarshal([]byte(text(t, gate, "stdin")), &document); err != nil {
					t.Fatal(err)
				}
				if document.Key != test.key || document.Digest != builtDigest || document.Build.Source != "./src" {
					t.Errorf("the gate reads %+v", document)
				}
			})
		})
	}
}

func TestSignatureThatIsThere(t *testing.T) {
	inBothModes(t, func(t *testing.T, r *recorder.Recorder) {
		signatureOf(t, r, &SignatureArgs{Keys: []string{trustedKey}})
		wantInputs(t, mustFind(t, r, gateType, "gateway-signed"), map[string]string{
			"create": `"go run github.com/clawft/infra/gate signed"`,
			"stdin":  `"{\"repository\":\"ghcr.io/clawft/clawft\",\"digest\":\"` + builtDigest + `\",\"keys\":[\"` + trustedKey + `\"]}"`,
		})
		for _, registered := range r.Resources() {
			if registered.Name == gateForSign || strings.HasPrefix(registered.Type, "tls:") {
				t.Errorf("%s %s was registered", registered.Type, registered.Name)
			}
		}
	})
}

func TestSignatureNeedsAKey(t *testing.T) {
	err := newRecorder(t).Run(func(ctx *pulumi.Context) error {
		_, err := NewSignature(ctx, "gateway", &SignatureArgs{Repository: "r", Digest: pulumi.String(builtDigest)})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "SignatureArgs.Keys") {
		t.Errorf("got %v", err)
	}
}
