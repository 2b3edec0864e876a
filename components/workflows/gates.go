package workflows

// A Gate is a job of pr-gates.yml that must pass before a pull request is
// merged or a release is deployed. It is both the job's identifier and, since
// the jobs have no other name, the status check that GitHub reports.
type Gate string

// The gates, in the order of the workflow.
const (
	Clippy      Gate = "clippy"
	Test        Gate = "test"
	WasmSize    Gate = "wasm-size"
	BinarySize  Gate = "binary-size"
	DockerSmoke Gate = "docker-smoke"
)

// Gates lists every gate.
var Gates = []Gate{Clippy, Test, WasmSize, BinarySize, DockerSmoke}

// Checks are the names of the status checks that the gates report.
func Checks() []string {
	checks := make([]string, len(Gates))
	for i, gate := range Gates {
		checks[i] = string(gate)
	}
	return checks
}
