// Package deploy changes what gateways a host runs, one step after the other, each with its
// way back: stage, verify, pull, preflight, hold, swap, watch, commit.
//
// At every moment one complete release is the current one of a gateway. What is current, and
// what to go back to, stands in one document that is replaced whole (Record); whatever ends a
// deployment (a kill, a power cut, a full disk), the document tells the next one who looks.
// The gateway's own process runs in a unit of systemd (Run), which reads the same document:
// a release that is not verified starts only while its deployment is there to watch it.
//
// A gateway has a place on its host: the name under which it was installed first. Its
// directory, its unit and its container are named by the place, so that who renames a gateway
// or takes it over moves no data. In front, at the proxy, it has its own name.
//
// What changes anything outside of this process is behind the interfaces in ports.go, so that
// the tests can stop it before and after each effect; package simulation does.
package deploy
