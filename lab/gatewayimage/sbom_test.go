package gatewayimage

import (
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/clawft/infra/internal/testregistry"
	"github.com/clawft/infra/registry"
	"github.com/clawft/infra/sbom"
)

// billOfMaterials lists what the image of a layout is made of, as the pipeline
// does: out of a registry.
func billOfMaterials(t *testing.T, dir string) *cyclonedx.BOM {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	repository := testregistry.New(t)
	digest := testregistry.Push(t, repository, "0.6.19", image)
	opened, err := registry.Open(repository, nil)
	if err != nil {
		t.Fatal(err)
	}
	read, err := opened.Image(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	bom, err := sbom.Of(read)
	if err != nil {
		t.Fatal(err)
	}
	return bom
}

// checkBillOfMaterials demands what is linked into the gateway and what lies
// beside it, and nothing that only built it.
func checkBillOfMaterials(t *testing.T, bom *cyclonedx.BOM) {
	t.Helper()
	if bom.Compositions != nil {
		t.Errorf("a program does not say what it is made of: %+v", *bom.Compositions)
	}
	var references []string
	for _, component := range *bom.Components {
		references = append(references, component.BOMRef)
	}
	there := func(beginning string) bool {
		return slices.ContainsFunc(references, func(reference string) bool { return strings.HasPrefix(reference, beginning) })
	}
	for _, beginning := range []string{"crate:clawft-cli@0.6.19", "pkg:cargo/openssl-sys@", "pkg:deb/debian/libssl3@", "pkg:deb/debian/libc6@", "os:debian@12"} {
		if !there(beginning) {
			t.Errorf("%s… is not listed in %q", beginning, references)
		}
	}
	for _, beginning := range []string{"pkg:cargo/cc@", "pkg:cargo/pkg-config@", "pkg:deb/debian/libssl-dev@"} {
		if there(beginning) {
			t.Errorf("%s… is listed, and is not in the image", beginning)
		}
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		if !slices.ContainsFunc(references, func(reference string) bool {
			return strings.HasPrefix(reference, "pkg:deb/debian/libssl3@") && strings.Contains(reference, "arch="+architecture)
		}) {
			t.Errorf("libssl3 for %s is not listed", architecture)
		}
	}
}
