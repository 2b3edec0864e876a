package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/clawft/infra/components"
	"github.com/clawft/infra/gate/attest"
	"github.com/clawft/infra/signature"
)

// signs is true if this stack signs its image.
func (i *Image) signs() bool { return i.Source != "" && i.Sign }

// checkKeys demands that what is signed and what is demanded fit together. The
// prefix is the project's namespace.
func (i *Image) checkKeys(r *report, prefix, signingKey string) {
	private, at := prefix+"signingKey", prefix+"image.publicKeys"
	var trusted []signature.PublicKey
	for n, text := range i.PublicKeys {
		key, err := signature.ParsePublicKey(text)
		if err != nil {
			r.wrong(elementPath(at, n), "a value that is none", "a public key of the curve P-256, as `openssl pkey -pubout` prints it: %v", err)
			continue
		}
		trusted = append(trusted, key)
	}
	if i.Source != "" && !i.Sign {
		if signingKey != "" {
			r.wrong(private, "a key", "none, because image.sign is false")
		}
		if len(i.PublicKeys) > 0 {
			r.wrong(at, "keys", "none, because an image that this stack builds and does not sign (image.sign is false) is signed by nobody")
		}
		return
	}
	if signingKey == "" {
		if i.signs() && len(i.PublicKeys) > 0 {
			r.wrong(private, nothing, "the private key of one of image.publicKeys: %s", r.setSecretCommand(private))
		}
		return
	}
	key, err := signature.ParseKey(signingKey)
	if err != nil {
		r.wrong(private, "a value that is none", "a private key of the curve P-256, in PEM format and without a passphrase: %v", err)
		return
	}
	if i.signs() && len(trusted) > 0 && !slices.ContainsFunc(trusted, key.Public().Equal) {
		r.wrong(at, "keys without the one that signs", "also the public half of %s:\n%s", private, key.Public())
	}
}

// completeKeys fills in whose signature is demanded.
func (i *Image) completeKeys(signingKey string) {
	key, err := signature.ParseKey(signingKey)
	if err != nil {
		return // there is none: checkKeys has seen to that
	}
	i.SigningKey = secret(signingKey)
	if len(i.PublicKeys) == 0 {
		i.PublicKeys = []string{key.Public().String()}
	}
}

// signature signs the image that this stack builds, or demands that it is signed
// by one of some keys. It is nil where neither is wanted.
func (c *Config) signature(ctx *pulumi.Context, digest pulumi.StringInput, commit components.Commit, keys []string, use pulumi.ResourceOption) (*components.Signature, error) {
	args := &components.SignatureArgs{
		Repository: c.Image.Repository, Digest: digest, Keys: keys, Credentials: c.Image.reader().component(),
	}
	switch {
	case c.Image.signs():
		build, err := c.build(ctx, commit)
		if err != nil {
			return nil, err
		}
		args.Sign = &components.SignArgs{PrivateKey: c.Image.SigningKey, Build: build}
	case len(keys) == 0:
		return nil, nil
	}
	return components.NewSignature(ctx, "gateway", args, use)
}

// build is what the image's provenance says.
func (c *Config) build(ctx *pulumi.Context, commit components.Commit) (attest.Build, error) {
	dockerfile, _, err := c.dockerfile(ctx)
	if err != nil {
		return attest.Build{}, fmt.Errorf("describing the build: %w", err)
	}
	sum := sha256.Sum256([]byte(dockerfile))
	return attest.Build{
		Source:     c.Image.Source,
		Ref:        c.Image.Ref,
		Commit:     commit.Hash,
		Version:    c.Version,
		Revision:   c.Image.Revision,
		Dockerfile: hex.EncodeToString(sum[:]),
		Platforms:  c.Image.Platforms,
		Args:       c.Image.BuildArgs,
	}, nil
}
