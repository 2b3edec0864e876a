// Package buildkit runs the lab's BuildKit daemon.
//
// The daemon is the real buildkitd with its own OCI worker: no Docker engine
// takes part in a build, and several platforms can be built in one run. Build
// steps run under the machine's runc, as root, and share the machine's network.
//
// One daemon belongs to one directory. Processes that start it on the same
// directory share it, and it ends with the last of them. What it keeps on disk
// is cache: removing the directory costs time and nothing else.
package buildkit
