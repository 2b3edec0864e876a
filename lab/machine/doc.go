// Package machine runs servers as containers: systemd as PID 1, sshd,
// cloud-init fed by the NoCloud data source, and whatever is installed on it
// afterwards, including a Docker engine of its own.
//
// A machine is reached over SSH at its own address on the lab's bridge network,
// as a rented server would be. It differs from one in that it shares the
// host's kernel and architecture, has no IPv6, and no firewall in front of it.
//
// Everything can be interrupted: the image appears in the cache whole or not
// at all, a half-created machine is made anew, and DownAll finds by label what
// nobody wrote down.
package machine
