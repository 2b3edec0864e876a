// Package agent builds clawft-host, the program of this module that works on a host, and brings it to
// hosts over SSH.
//
// What decides about it is Source, the hash of everything in this checkout that it is made of: the same on
// every machine, whoever has checked it out where. So a host that has the program of a source is given none,
// and a preview, which only compares, builds nothing.
package agent
