package bases

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// suite is the Debian release of the base images.
const suite = "bookworm"

// Packages are the Debian packages that making the stand-ins needs.
func Packages() []string { return []string{"mmdebstrap", "debian-archive-keyring"} }

// base is an image to stand in for.
type base struct {
	ref   string // as the Dockerfile names it
	label string // tells images of the same name apart in the cache
	trees []tree // one per platform
	extra []byte // what else decides the content
	level int    // of compression
}

// tree is one root file system.
type tree struct {
	arch string   // Debian's name and Go's, which agree for both architectures
	args []string // of mmdebstrap, without suite and output
}

// authorities is the machine's own bundle. Where a proxy stands between the
// machine and the package registries, builds have to trust what the machine
// trusts.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// stands lists the images for a machine of one architecture that also builds for
// the other. trusted is the content of the bundle of authorities, empty for a
// machine without one. It goes into the compiler's image alone, of which nothing
// reaches the gateway's.
func stands(native, foreign string, trusted []byte) []base {
	compiler := append(installed(native+","+foreign),
		"--include=rustc-web,cargo-web,libstd-rust-web-dev:"+native+",libstd-rust-web-dev:"+foreign,
		"--include=gcc,g++,make,libc6-dev,libssl-dev,pkg-config,ca-certificates,git",
	)
	if len(trusted) > 0 {
		compiler = append(compiler, "--customize-hook=upload "+authorities+" "+authorities)
	}
	return []base{
		{
			ref:   "debian:bookworm-slim",
			trees: []tree{{native, installed(native)}, {foreign, unpacked(foreign)}},
			// Its layer is part of the gateway's image and counts for the size.
			level: gzip.BestCompression,
		},
		{
			ref:   "rust:1.93-bookworm",
			trees: []tree{{native, compiler}},
			extra: trusted,
			level: gzip.BestSpeed,
		},
	}
}

// emulated lists the images for building on the foreign architecture itself,
// under an emulator: the same, with the roles of the architectures swapped. The
// compiler's is unpacked, as its packages' scripts would take an emulator half
// an hour, and gets the two files that it needs of what they make.
func emulated(_, foreign string, trusted []byte) []base {
	compiler := append(unpacked(foreign),
		"--include=rustc-web", "--include=cargo-web", "--include=libstd-rust-web-dev", "--include=gcc",
		"--include=libc6-dev", "--include=libssl-dev", "--include=pkg-config", "--include=ca-certificates",
		`--extract-hook=ln -s gcc "$1/usr/bin/cc"`,
	)
	if len(trusted) > 0 {
		compiler = append(compiler, "--extract-hook=cp "+authorities+` "$1`+authorities+`"`)
	}
	return []base{
		{ref: "debian:bookworm-slim", label: "emulated-", trees: []tree{{foreign, append(installed(foreign), "--skip=check/qemu")}}, level: gzip.BestSpeed},
		{ref: "rust:1.93-bookworm", label: "emulated-", trees: []tree{{foreign, compiler}}, extra: trusted, level: gzip.BestSpeed},
	}
}

// slim leaves out what debian:bookworm-slim leaves out.
var slim = []string{
	"--dpkgopt=path-exclude=/usr/share/man/*",
	"--dpkgopt=path-exclude=/usr/share/doc/*",
	"--dpkgopt=path-include=/usr/share/doc/*/copyright",
	"--dpkgopt=path-exclude=/usr/share/info/*",
	"--dpkgopt=path-exclude=/usr/share/lintian/*",
	"--dpkgopt=path-exclude=/usr/share/locale/*",
}

// mergedUsr holds mmdebstrap's hooks for the merged /usr that the real images have.
const mergedUsr = "/usr/share/mmdebstrap/hooks/merged-usr"

// installed is a tree whose packages are configured, by running its programs.
func installed(architectures string) []string {
	return append([]string{
		"--variant=minbase", "--architectures=" + architectures,
		"--hook-dir=" + mergedUsr, "--include=usr-is-merged",
	}, slim...)
}

// unpacked is a tree in which nothing has run: the packages' files, without the
// accounts, alternatives and caches that their scripts would make.
func unpacked(architecture string) []string {
	return append([]string{
		"--variant=extract", "--architectures=" + architecture, "--skip=check/qemu",
		"--setup-hook=" + mergedUsr + `/setup00.sh "$1"`, "--include=?essential", "--include=apt",
	}, slim...)
}

// stem is what the base's directories in the cache begin with, whatever the recipe.
func (b base) stem() string { return b.label + strings.ReplaceAll(b.ref, ":", "-") + "-" }

// name is the directory of a base in the cache. It changes with the recipe.
func (b base) name() string {
	content := struct {
		ref   string
		trees []tree
		extra []byte
		level int
	}{b.ref, b.trees, b.extra, b.level}
	sum := sha256.Sum256(fmt.Append(nil, suite, content))
	return b.stem() + hex.EncodeToString(sum[:])[:12]
}
