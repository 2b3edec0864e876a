// Package simulation is a machine that gateways are deployed on, made up whole: engine, systemd,
// disk, proxy, registry and the gateways themselves. Only tests use it.
//
// The processes on it are those of package deploy. Each call by which one changes or asks
// anything outside of itself is an effect: it waits until the scheduler lets it happen, one at a
// time, in an order that a seed decides. Before each, something may go wrong (Fault): a process
// is killed, the power is cut, the disk is full, the engine dies. After each, the invariants are
// checked. Time is made up, too, by testing/synctest.
//
// The disk forgets at a power cut what was not synced; a file whose content was not is empty or
// cut short, and of the changes of a directory any first part may have happened.
package simulation
