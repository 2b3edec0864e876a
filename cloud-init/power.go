package cloudinit

import _ "embed"

//go:embed host/power.sh
var powerScript string

// The words that follow "bash -s --" for the script of Power.
const (
	// PowerOff ends the gateway in good order.
	PowerOff = "off"
	// PowerOn waits until the gateway is healthy and reports its version.
	PowerOn = "on"
)

// Power returns the script for before and after a change of a server that cuts its power. It runs as
// root, as the standard input of bash, with a word that says which, and works on a host whatever release
// of the scripts it has.
func Power() string { return powerScript }
