package sbom

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/clawft/infra/internal/testregistry"
	"github.com/clawft/infra/registry"
)

const (
	osReleaseText = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"
	statusText    = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u10
Conffiles:
 /etc/ld.so.conf.d/x86_64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
Description: GNU C Library: Shared libraries
 Contains the standard libraries.
 .
 Package: not-one

Package: removed
Status: deinstall ok config-files
Version: 1

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 12.2.0-14
`
	unpackedText = `Package: libgcc-s1
Architecture: amd64
Source: gcc-12 (12.2.0-14+deb12u1)
Version: 12.2.0-14+deb12u1
`
	cratesText = `{"packages":[
{"name":"clawft-cli","version":"0.6.19","source":"local","root":true,"dependencies":[1,2]},
{"name":"openssl-sys","version":"0.9.109","source":"crates.io","dependencies":[2]},
{"name":"cc","version":"1.2.30","source":"crates.io","kind":"build"}]}`
)

// file is a file of an image.
type file struct{ name, content string }

func imageOf(t *testing.T, files ...file) v1.Image {
	t.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, file := range files {
		if err := writer.WriteHeader(&tar.Header{Name: file.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(file.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(writer, file.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// published puts images into a registry, as one image for two platforms.
func published(t *testing.T, amd64, arm64 v1.Image) *registry.Image {
	t.Helper()
	repository := testregistry.New(t)
	digest := testregistry.Push(t, repository, "0.6.19", testregistry.Index(map[string]v1.Image{"linux/amd64": amd64, "linux/arm64": arm64}))
	opened, err := registry.Open(repository, nil)
	if err != nil {
		t.Fatal(err)
	}
	image, err := opened.Image(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// parts are what something consists of, found by the beginning of its reference.
func parts(t *testing.T, bom *cyclonedx.BOM, beginning string) []string {
	t.Helper()
	for _, dependency := range *bom.Dependencies {
		if strings.HasPrefix(dependency.Ref, beginning) {
			return *dependency.Dependencies
		}
	}
	t.Fatalf("nothing is part of %s in %+v", beginning, *bom.Dependencies)
	return nil
}

func wantParts(t *testing.T, bom *cyclonedx.BOM, beginning string, want ...string) {
	t.Helper()
	got := parts(t, bom, beginning)
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("%s consists of %q, want %q", beginning, got, want)
	}
}

func TestBillOfMaterials(t *testing.T) {
	system := []file{
		{"usr/lib/os-release", osReleaseText},
		{"./var/lib/dpkg/status", statusText},
		{"var/lib/dpkg/status.d/libgcc-s1", unpackedText},
		{"etc/passwd", "root:x:0:0::/:"},
	}
	amd64 := imageOf(t, append(system, file{"usr/local/bin/weft", string(program(t, cratesText))})...)
	arm64 := imageOf(t, append(system, file{"usr/local/bin/weft", string(program(t, ""))})...)
	image := published(t, amd64, arm64)

	bom, err := Of(image)
	if err != nil {
		t.Fatal(err)
	}
	repository, digest, _ := strings.Cut(image.Ref, "@")
	if about := bom.Metadata.Component; about.Version != digest || about.Name != repository {
		t.Errorf("the list is about %s %s, want %s %s", about.Name, about.Version, repository, digest)
	}
	var names []string
	for _, component := range *bom.Components {
		names = append(names, component.Name+" "+component.Version)
	}
	for _, want := range []string{"debian 12", "libc6 2.36-9+deb12u10", "libgcc-s1 12.2.0-14+deb12u1", "clawft-cli 0.6.19", "openssl-sys 0.9.109"} {
		if !slices.Contains(names, want) {
			t.Errorf("the list lacks %s: %q", want, names)
		}
	}
	for _, given := range names {
		if slices.Contains([]string{"removed 1", "not-one ", "cc 1.2.30", "libgcc-s1 12.2.0-14"}, given) {
			t.Errorf("the list has %s, which is not in the image", given)
		}
	}

	wantParts(t, bom, bom.Metadata.Component.BOMRef, "pkg:oci/clawft@sha256:", "pkg:oci/clawft@sha256:")
	for _, container := range parts(t, bom, bom.Metadata.Component.BOMRef) {
		wantParts(t, bom, container, "file:/usr/local/bin/weft@sha256:", "os:debian@12",
			"pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12&upstream=glibc",
			"pkg:deb/debian/libgcc-s1@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=gcc-12%4012.2.0-14%2Bdeb12u1")
	}
	// The one with a list; the other is not said to have none.
	wantParts(t, bom, "file:/usr/local/bin/weft@sha256:", "crate:clawft-cli@0.6.19")
	wantParts(t, bom, "crate:clawft-cli@0.6.19", "pkg:cargo/openssl-sys@0.9.109")
	if bom.Compositions == nil || len(*bom.Compositions) != 1 || len(*(*bom.Compositions)[0].Dependencies) != 1 {
		t.Errorf("the parts of one program are not known, and the list says %+v", bom.Compositions)
	}

	again, err := Of(image)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := json.Marshal(bom)
	if two, _ := json.Marshal(again); !bytes.Equal(one, two) {
		t.Error("the same image has two lists")
	}
}

// A list that lacks something says so.
func TestUnknownParts(t *testing.T) {
	good := imageOf(t, file{"usr/local/bin/weft", string(program(t, cratesText))})
	for _, test := range []struct {
		name, want string
		image      v1.Image
	}{
		{"a program elsewhere", "pkg:oci/clawft@", imageOf(t, file{"opt/weft", ""})},
		{"a script", "file:/usr/local/bin/weft@", imageOf(t, file{"usr/local/bin/weft", "#!/bin/sh\n"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			bom, err := Of(published(t, good, test.image))
			if err != nil {
				t.Fatal(err)
			}
			if bom.Compositions == nil {
				t.Fatal("the list takes itself for complete")
			}
			unknown := *(*bom.Compositions)[0].Dependencies
			if len(unknown) != 1 || !strings.HasPrefix(string(unknown[0]), test.want) {
				t.Errorf("unknown are the parts of %v, want %s…", unknown, test.want)
			}
		})
	}
}

func TestImagesThatCannotBeListed(t *testing.T) {
	good := imageOf(t, file{"usr/local/bin/weft", string(program(t, cratesText))})
	for _, test := range []struct {
		name, want string
		image      v1.Image
	}{
		{"a broken list", "list of crates", imageOf(t, file{"usr/local/bin/weft", string(program(t, "{"))})},
		{"a crate that is not there", "openssl depends on entry 7 of 1", imageOf(t, file{
			"usr/local/bin/weft", string(program(t, `{"packages":[{"name":"openssl","dependencies":[7]}]}`)),
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Of(published(t, good, test.image)); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "linux/arm64") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
