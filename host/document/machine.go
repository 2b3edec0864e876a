// Package document has what a host is told besides releases: for whom it is made ready, who may sign what it
// runs, and who logs in. It is what the pipeline writes and the program on the host reads, on whatever system
// the pipeline runs.
package document

import "github.com/clawft/infra/host/release"

// Machine says for whom a machine is made ready.
type Machine struct {
	// Owner is whose the machine is to be, and the gateway that is to run there.
	Owner release.Owner `json:"owner"`
	// Policy is what the machine demands of releases.
	Policy Policy `json:"policy"`
}
