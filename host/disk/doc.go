// Package disk keeps documents so that none is lost or half there, whatever ends the process
// or the machine: what is replaced is the old one or the new one, whole.
//
// Disk does it, in the few calls of a System. The real one is OS; the simulation has one that
// forgets what was not synced.
package disk
