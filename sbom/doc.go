// Package sbom lists what an image is made of, as a CycloneDX bill of materials:
// the Debian packages and the crates in it, for each of its platforms.
//
// The list is read out of the image and nothing else, so it cannot be of another
// one. Debian says in /var/lib/dpkg what it has installed, and cargo-auditable
// writes into a program which crates it was linked from. What neither of them
// knows about is not listed.
//
// The formats: https://cyclonedx.org/docs/1.6/json/,
// https://github.com/package-url/purl-spec and
// https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md
package sbom
