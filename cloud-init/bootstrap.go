package cloudinit

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"strings"
)

//go:embed host/bootstrap.sh
var bootstrapScript string

//go:embed host/common.sh
var commonScript string

//go:embed host/container.sh
var containerScript string

//go:embed host/images.sh
var imagesScript string

//go:embed host/surroundings.sh
var surroundingsScript string

//go:embed host/run.sh
var runScript string

//go:embed host/owner.sh
var ownerScript string

//go:embed host/stop.sh
var stopScript string

//go:embed host/deploy.sh
var deployScript string

//go:embed host/deploy-worker.sh
var deployWorkerScript string

//go:embed host/settle.sh
var settleScript string

//go:embed host/launch.sh
var launchScript string

//go:embed host/prestart.sh
var prestartScript string

//go:embed host/remove.sh
var removeScript string

//go:embed host/clawft.service
var gatewayUnit string

//go:embed host/clawft-proxy.service
var proxyUnit string

//go:embed host/clawft-deploy@.service
var deployUnit string

//go:embed host/Caddyfile
var proxyConfig string

// hostFile is a file that the bootstrap installs below libDirectory.
type hostFile struct {
	name    string
	mode    string
	content string
}

const libDirectory = "/usr/local/lib/clawft/"

// hostFiles lists the files in the order of their installation: what is called comes before its callers,
// so that a bootstrap that is cut short leaves no caller without what it calls.
func hostFiles() []hostFile {
	return []hostFile{
		{"owner.sh", "0644", ownerScript},
		{"common.sh", "0644", commonScript},
		{"container.sh", "0644", containerScript},
		{"images.sh", "0644", imagesScript},
		{"surroundings.sh", "0644", surroundingsScript},
		{"Caddyfile", "0644", proxyConfig},
		{"clawft.service", "0644", gatewayUnit},
		{"clawft-proxy.service", "0644", proxyUnit},
		{"clawft-deploy@.service", "0644", deployUnit},
		{"launch", "0755", launchScript},
		{"run", "0755", runScript},
		{"prestart", "0755", prestartScript},
		{"stop", "0755", stopScript},
		{"settle", "0755", settleScript},
		{"deploy-worker", "0755", deployWorkerScript},
		{"deploy", "0755", deployScript},
		{"remove", "0755", removeScript},
	}
}

// Units returns the systemd units by file name, for checks such as systemd-analyze verify.
func Units() map[string]string {
	return map[string]string{
		"clawft.service":         gatewayUnit,
		"clawft-proxy.service":   proxyUnit,
		"clawft-deploy@.service": deployUnit,
	}
}

// ProxyConfig returns the proxy's Caddyfile, for checks such as caddy validate.
func ProxyConfig() string { return proxyConfig }

// installFiles is the part of the bootstrap that installs the host's files.
func installFiles() string {
	var script strings.Builder
	for _, f := range hostFiles() {
		// Derived from the content, so that no line of the content can be the delimiter.
		end := fmt.Sprintf("END_%x", sha256.Sum256([]byte(f.content)))[:20]
		fmt.Fprintf(&script, "file \"$LIB/%s\" %s <<'%s'\n%s%s\n", f.name, f.mode, end, f.content, end)
	}
	return script.String()
}

// Bootstrap returns the script that prepares a host: self-contained, idempotent, free of secrets, and
// the same for every host. It runs as root, as the standard input of BootstrapCommand.
func Bootstrap() string {
	var names []string
	for _, f := range hostFiles() {
		names = append(names, f.name)
	}
	return strings.NewReplacer(
		"\t: HOST_FILES\n", installFiles(),
		"HOST_FILE_NAMES", strings.Join(names, " "),
		// It runs where nothing is installed yet.
		". "+libDirectory+"owner.sh\n", ownerScript,
	).Replace(bootstrapScript)
}
