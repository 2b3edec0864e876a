// Package workflows tests the GitHub Actions workflows, this repository's own and
// those that the pipeline writes into the gateway's repository: what they say,
// and what they do when they are executed by nektos/act on this machine.
//
// Where a workflow needs what cannot be had here, testdata holds a stand-in: for
// third-party actions (GitHub runs the pinned ones), for rustup and for the
// compiler of the WebAssembly module. Everything else is real: cargo, the gates'
// scripts, the Docker engine and the image.
package workflows
