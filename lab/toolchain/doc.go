// Package toolchain provides the programs that the lab and the checks run, at
// the versions that tools/<name>/go.mod pins.
//
// Each tool is a Go module of its own, so that what it depends on stays out of
// the product's go.mod. A program that is installed and new enough is used as it
// is. Otherwise it is kept in .lab/cache/bin, and installed nowhere: downloaded
// from its authors, if tools/<name>/release.json knows the checksum for this
// platform, and else, or where that server cannot be reached, built.
//
// A release.json holds no checksum that was taken from the download itself: it
// says who else vouches for it. With a new version in go.mod it is out of date,
// which a test tells; renew it from the same source, or remove it.
package toolchain
