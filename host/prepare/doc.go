// Package prepare makes a machine ready to run gateways: it waits for the first boot, sees to it that an engine
// is there, refuses what a gateway cannot live with, and puts users, directories, the policy, units and the
// proxy into place. It may run any number of times and changes only what differs. On a machine that is
// somebody else's, it changes nothing.
//
// It never upgrades or restarts an engine.
package prepare
