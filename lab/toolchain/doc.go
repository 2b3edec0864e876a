// Package toolchain provides the programs that the lab and the checks run, at
// the versions that tools/<name>/go.mod pins.
//
// Each tool is a Go module of its own, so that what it depends on stays out of
// the product's go.mod. A tool is built when it is first asked for and kept in
// .lab/cache/bin. Nothing is installed anywhere else, and of the programs that
// the machine already has only a recent enough pulumi is used: building that
// one takes minutes, and any newer one of its major version serves as well.
package toolchain
