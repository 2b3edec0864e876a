// Package bases makes stand-ins for the base images of the gateway's Dockerfile,
// for machines that do not reach Docker Hub.
//
// They are put together from Debian's packages and kept as OCI layouts in the
// lab's cache. A build takes them as named contexts, which replace a FROM: the
// Dockerfile does not know of them. Where Docker Hub answers there are none, and
// the build pulls the real ones.
//
// debian:bookworm-slim has both platforms. The foreign one is unpacked, never
// configured, as that would run its programs: the gateway's image runs nothing
// in it either. rust:1.93-bookworm has the machine's own platform alone, which
// is where builds run, and Debian's newer compiler, with the standard library of
// both targets.
package bases
