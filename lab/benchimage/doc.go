// Package benchimage measures the build of the gateway's image: the repository's
// Dockerfile, which cross-compiles, beside the build as the pipeline's first
// design had it, which compiles for arm64 under an emulator.
//
// Both build the same source, with the same compiler, on the same BuildKit in
// the same run.
package benchimage
