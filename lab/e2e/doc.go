// Package e2e tests the whole pipeline end to end in a lab of its own: the real
// engine, machines, SSH, registry and BuildKit of this machine, driven through
// the lab's command line as a user drives it.
//
// It needs root and a Docker engine (the lab sets up the rest) and fails without
// them. The lab has a name of its own, so a lab that the user runs is left alone.
package e2e
