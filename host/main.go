// Command clawft-host does everything on a host that runs gateways.
package main

func main() {}
