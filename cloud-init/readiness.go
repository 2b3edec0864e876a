package cloudinit

import _ "embed"

//go:embed host/readiness.sh
var readinessScript string

// Readiness returns the script that waits until a host can be worked on (cloud-init is done) and checks
// system, architecture, systemd and root. It runs as the standard input of bash, as root, and prints one
// line such as:
//
//	ready os=debian-12 arch=amd64 cloud-init=done docker=20.10.24+dfsg1
//
// A first boot that ended with errors (error, degraded) is shown on standard error and does not fail it:
// the bootstrap that follows fails with the cause if it persists. Where there is no cloud-init (none), or it
// is disabled or masked (not-run), nothing is waited for.
func Readiness() string { return readinessScript }
