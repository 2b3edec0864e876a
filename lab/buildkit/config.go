package buildkit

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// cacheLimit bounds what builds leave on disk. It holds the dependencies of
// the gateway for two architectures several times over.
const cacheLimit = "20GB"

func configPath(dir string) string { return filepath.Join(dir, "buildkitd.toml") }

// config is the daemon's whole configuration: none of it comes from flags, so
// that two daemons are alike exactly if their configurations are.
func (o *Options) config() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "root = %q\n\n", filepath.Join(o.Dir, "root"))
	fmt.Fprintf(&b, "[grpc]\naddress = [%q]\n\n", "unix://"+o.Socket)
	// Otherwise it makes one under /run for the whole machine.
	fmt.Fprintf(&b, "[otel]\nsocketPath = %q\n\n", filepath.Join(o.Dir, "otel.sock"))
	fmt.Fprintf(&b, "[cdi]\ndisabled = true\n\n")
	fmt.Fprintf(&b, "[worker.containerd]\nenabled = false\n\n")
	fmt.Fprintf(&b, "[worker.oci]\nenabled = true\nbinary = \"runc\"\n")
	// The machine's network, whatever CNI configuration the machine may have.
	fmt.Fprintf(&b, "networkMode = \"host\"\n")
	fmt.Fprintf(&b, "defaultCgroupParent = %q\n", cgroupName(o.Dir))
	fmt.Fprintf(&b, "gc = true\nmaxUsedSpace = %q\n", cacheLimit)
	for _, registry := range slices.Sorted(maps.Keys(o.Registries)) {
		// BuildKit would otherwise talk to a loopback address without TLS.
		fmt.Fprintf(&b, "\n[registry.%q]\nhttp = false\nca = [%q]\n", registry, o.Registries[registry])
	}
	return b.Bytes()
}
