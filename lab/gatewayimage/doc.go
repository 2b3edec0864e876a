// Package gatewayimage builds the repository's Dockerfile with the lab's own
// BuildKit, into OCI layouts and without a registry. The tests prove the
// Dockerfile with it, and the benchmark measures it.
//
// What it builds from is the source in lab/fixture: of the gateway's shape, and
// compiled in a minute.
package gatewayimage
