package site

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Sizes describes the platforms of an image in the lab's registry, with what a
// host downloads for each: "linux/amd64 21.4 MB".
func (s *Site) Sizes(ctx context.Context, ref string) (string, error) {
	digest, err := name.NewDigest(ref)
	if err != nil {
		return "", fmt.Errorf("reading the image reference: %w", err)
	}
	options, err := s.registryClient(ctx)
	if err != nil {
		return "", err
	}
	index, err := remote.Index(digest, options...)
	if err != nil {
		return "", fmt.Errorf("reading the image index %s: %w", ref, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return "", fmt.Errorf("reading the image index %s: %w", ref, err)
	}
	var sizes []string
	for _, entry := range manifest.Manifests {
		image, err := index.Image(entry.Digest)
		if err != nil {
			return "", fmt.Errorf("reading the image %s: %w", entry.Digest, err)
		}
		size, err := compressedSize(image)
		if err != nil {
			return "", err
		}
		sizes = append(sizes, fmt.Sprintf("%s %.1f MB", entry.Platform, float64(size)/1e6))
	}
	return strings.Join(sizes, ", "), nil
}

// compressedSize is what a pull transfers: config and layers.
func compressedSize(image v1.Image) (int64, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return 0, fmt.Errorf("reading an image's manifest: %w", err)
	}
	size := manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size, nil
}

// registryClient is how the lab itself talks to its registry.
func (s *Site) registryClient(ctx context.Context) ([]remote.Option, error) {
	ca, err := os.ReadFile(s.Registry.CAPath())
	if err != nil {
		return nil, fmt.Errorf("reading the registry's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the registry's certificate is not PEM")
	}
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithAuth(&authn.Basic{Username: s.Registry.Username(), Password: s.Registry.Password()}),
		remote.WithTransport(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}),
	}, nil
}
