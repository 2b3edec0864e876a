// Command clawft-host does everything on a host that runs gateways.
package main

// The units are carried by the program.
import _ "github.com/clawft/infra/host/units"

func main() {}
