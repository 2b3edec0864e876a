package pipeline

import (
	"regexp"

	"github.com/clawft/infra/config/gateway"
)

// Gateway says how the gateway runs on every host.
type Gateway struct {
	// Port on which the gateway listens inside its container.
	Port int `json:"port" default:"8080"`
	// What the gateway logs, as a RUST_LOG directive: warn, info,
	// info,clawft_channels=debug.
	LogLevel string `json:"logLevel" default:"warn"`
	// Memory limit of the container, in MiB.
	MemoryMiB int `json:"memoryMiB" default:"512"`
	// Limit of processes and threads in the container.
	Pids int `json:"pids" default:"256"`
	// How long a new release may take to become healthy, in seconds.
	HealthTimeout int `json:"healthTimeout" default:"60"`
	// How long a new release is watched after that, in seconds. A crash within
	// this time rolls back.
	Watch int `json:"watch" default:"10"`
	// How long requests in flight may take before the old release is stopped,
	// in seconds.
	Drain int `json:"drain" default:"10"`
	// The gateway's own configuration; config.json is made from it. Keys that are
	// not in the list below are passed on with a warning.
	Config map[string]any `json:"config"`

	// document is Config, read.
	document *gateway.Document
}

var logLevelPattern = regexp.MustCompile(`^[A-Za-z0-9_:=,.\[\]{}/*+-]+$`)

func (g *Gateway) check(r *report, path, version string) {
	r.between(path+".port", g.Port, 1024, 65535, ", because the gateway does not run as root")
	if !logLevelPattern.MatchString(g.LogLevel) {
		r.wrong(path+".logLevel", quote(g.LogLevel), "a RUST_LOG directive, such as info or warn,clawft_channels=debug")
	}
	r.between(path+".memoryMiB", g.MemoryMiB, 64, 1<<20, " MiB")
	r.between(path+".pids", g.Pids, 16, 32768, "")
	// The proxy on a host holds requests for 600 seconds at most. Starting,
	// failing and rolling back must fit in.
	r.between(path+".healthTimeout", g.HealthTimeout, 5, 180, " seconds")
	r.between(path+".watch", g.Watch, 1, 600, " seconds")
	r.between(path+".drain", g.Drain, 0, 60, " seconds")
	g.checkConfig(r, path+".config", version)
}
